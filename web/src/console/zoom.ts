/** Zoom with the wheel, two fingers or keys, around what is pointed at; a picture larger than its view is dragged. */

import {
  type KeyboardEvent,
  type PointerEvent,
  type RefObject,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';

const SMALLEST = 0.1;
const LARGEST = 8;
/** How much a notch of the wheel zooms. */
const WHEEL = 0.0015;
const STEP = 1.25;

interface Point {
  x: number;
  y: number;
}

const middle = (a: Point, b: Point): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
const distance = (a: Point, b: Point) => Math.hypot(a.x - b.x, a.y - b.y);

/** `width` is the picture's own, in pixels. */
export function useZoom(
  view: RefObject<HTMLElement | null>,
  stage: RefObject<HTMLElement | null>,
  width: number,
) {
  /** Pixels of the screen for one of the picture; undefined while it is fitted. */
  const [scale, setScale] = useState<number>();
  /** What stays where it is while the size changes: a place in the picture, and where it is on the screen. */
  const anchor = useRef<{ share: Point; at: Point }>(undefined);
  const pointers = useRef(new Map<number, Point>());
  /** The last size asked for. Two fingers move before a new one is drawn. */
  const asked = useRef<number>(undefined);

  const shown = useCallback(
    () => asked.current ?? (stage.current ? stage.current.getBoundingClientRect().width / width : 1),
    [stage, width],
  );

  const fit = useCallback(() => {
    asked.current = undefined;
    setScale(undefined);
  }, []);

  const to = useCallback(
    (wanted: number, at?: Point) => {
      const box = stage.current?.getBoundingClientRect();
      const frame = view.current?.getBoundingClientRect();
      if (!box || !frame) return;
      at ??= { x: frame.left + frame.width / 2, y: frame.top + frame.height / 2 };
      const share = { x: (at.x - box.left) / box.width, y: (at.y - box.top) / box.height };
      anchor.current = { share, at };
      asked.current = Math.min(LARGEST, Math.max(SMALLEST, wanted));
      setScale(asked.current);
    },
    [stage, view],
  );

  useLayoutEffect(() => {
    const box = stage.current?.getBoundingClientRect();
    if (!anchor.current || !box || !view.current) return;
    const { share, at } = anchor.current;
    anchor.current = undefined;
    view.current.scrollLeft += box.left + share.x * box.width - at.x;
    view.current.scrollTop += box.top + share.y * box.height - at.y;
  }, [scale, stage, view]);

  // React listens to the wheel passively, so that it could not keep the page from scrolling.
  useEffect(() => {
    const element = stage.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      // A pinch on a touchpad comes as small steps with the control key.
      const speed = WHEEL * lines * (event.ctrlKey ? 6 : 1);
      to(shown() * Math.exp(-event.deltaY * speed), { x: event.clientX, y: event.clientY });
    };
    // One finger may scroll the page; the browser must not take two for that.
    const onTouchMove = (event: TouchEvent) => {
      if (event.touches.length > 1) event.preventDefault();
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    element.addEventListener('touchmove', onTouchMove, { passive: false });
    return () => {
      element.removeEventListener('wheel', onWheel);
      element.removeEventListener('touchmove', onTouchMove);
    };
  }, [stage, shown, to]);

  return {
    scale,
    to,
    by: (factor: number) => to(shown() * factor),
    fit,
    /** Whether the picture is larger than its view. */
    canPan: () => {
      const element = view.current;
      if (!element) return false;
      return element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1;
    },
    onPointerDown: (event: PointerEvent) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    },
    onPointerMove: (event: PointerEvent) => {
      const before = pointers.current.get(event.pointerId);
      if (!before || !view.current) return;
      const now = { x: event.clientX, y: event.clientY };
      const other = [...pointers.current].find(([id]) => id !== event.pointerId)?.[1];
      pointers.current.set(event.pointerId, now);
      if (other) {
        to((shown() * distance(now, other)) / Math.max(1, distance(before, other)), middle(now, other));
      } else {
        view.current.scrollLeft -= now.x - before.x;
        view.current.scrollTop -= now.y - before.y;
      }
    },
    /** For a finger that moves something else, until another one joins it. */
    follow: (event: PointerEvent) => {
      if (pointers.current.has(event.pointerId)) {
        pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      }
    },
    onPointerUp: (event: PointerEvent) => {
      pointers.current.delete(event.pointerId);
    },
    onKeyDown: (event: KeyboardEvent) => {
      if (event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key === '+' || event.key === '=') to(shown() * STEP);
      else if (event.key === '-') to(shown() / STEP);
      else if (event.key === '0') fit();
      else return;
      event.preventDefault();
    },
  };
}
