/** An image, fitted or at any size; with its source, both under one slider. */

import { type CSSProperties, type PointerEvent, useEffect, useRef, useState } from 'react';
import { percent } from './format';
import { useZoom } from './zoom';

interface Props {
  /** The source as we show it; without it there is only the output. */
  before?: string;
  after: string;
  width: number;
  height: number;
  name: string;
}

/** How near to the divider a pointer takes hold of it, in pixels; elsewhere it moves a picture that is larger than its view. */
const GRIP = 32;

export function Compare({ before, after, width, height, name }: Props) {
  const [position, setPosition] = useState(50);
  const [flicker, setFlicker] = useState(false);
  const [missing, setMissing] = useState(false);
  const view = useRef<HTMLDivElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const zoom = useZoom(view, stage, width);
  const holdsDivider = useRef(false);
  const compared = before !== undefined && !missing;

  function moveDivider(event: PointerEvent) {
    const box = stage.current?.getBoundingClientRect();
    if (!box) return;
    setPosition(Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100)));
  }

  function onPointerDown(event: PointerEvent) {
    zoom.onPointerDown(event);
    const box = stage.current?.getBoundingClientRect();
    // A second finger makes it a pinch, wherever the first one is.
    holdsDivider.current = false;
    if (!box || !event.isPrimary || event.button !== 0) return;
    const divider = box.left + (box.width * position) / 100;
    const isNear = Math.abs(event.clientX - divider) < GRIP;
    holdsDivider.current = compared && (isNear || !zoom.canPan());
    if (holdsDivider.current) moveDivider(event);
  }

  function onPointerMove(event: PointerEvent) {
    if (holdsDivider.current && event.isPrimary) {
      zoom.follow(event);
      moveDivider(event);
    } else {
      zoom.onPointerMove(event);
    }
  }

  function onPointerUp(event: PointerEvent) {
    if (event.isPrimary) holdsDivider.current = false;
    zoom.onPointerUp(event);
  }

  useEffect(() => {
    if (!compared) return;
    const onSpace = (event: KeyboardEvent) => {
      if (event.key !== ' ') return;
      // What has the focus may need the key itself.
      if ((event.target as HTMLElement).closest('button, a, select, textarea, input:not([type=range])'))
        return;
      event.preventDefault();
      setFlicker(event.type === 'keydown');
    };
    const release = () => setFlicker(false);
    addEventListener('keydown', onSpace);
    addEventListener('keyup', onSpace);
    addEventListener('blur', release);
    return () => {
      removeEventListener('keydown', onSpace);
      removeEventListener('keyup', onSpace);
      removeEventListener('blur', release);
    };
  }, [compared]);

  const size: CSSProperties = zoom.scale
    ? { width: width * zoom.scale, height: height * zoom.scale }
    : { aspectRatio: `${width} / ${height}`, maxWidth: `min(100%, ${width}px)` };
  return (
    <figure className="compare">
      <div className="compare-tools">
        <div className="segments" role="group" aria-label="Size">
          <button type="button" aria-pressed={zoom.scale === undefined} onClick={zoom.fit}>
            Fitted
          </button>
          <button type="button" aria-pressed={zoom.scale === 1} onClick={() => zoom.to(1)}>
            1:1
          </button>
          <button type="button" aria-label="Smaller" onClick={() => zoom.by(1 / 1.5)}>
            −
          </button>
          <button type="button" aria-label="Larger" onClick={() => zoom.by(1.5)}>
            +
          </button>
          <output className="quiet" aria-label="Shown size">
            {zoom.scale ? percent(zoom.scale) : ''}
          </output>
        </div>
        {compared && (
          <label className="slider">
            <span>Before</span>
            <input
              type="range"
              min={0}
              max={100}
              step={0.5}
              value={position}
              aria-label="How much of the source is shown"
              onChange={(event) => setPosition(Number(event.target.value))}
            />
            <span>After</span>
          </label>
        )}
        {compared && <span className="quiet space">Hold the space bar to see only the source.</span>}
        {missing && <span className="quiet">The source can no longer be shown.</span>}
      </div>
      <div
        ref={view}
        className="compare-view"
        data-zoomed={zoom.scale !== undefined}
        tabIndex={0}
        role="region"
        aria-label={name}
        onKeyDown={zoom.onKeyDown}
      >
        <div
          ref={stage}
          className="stage"
          data-pixels={(zoom.scale ?? 0) > 2}
          style={size}
          onPointerDown={onPointerDown}
          onPointerMove={onPointerMove}
          onPointerUp={onPointerUp}
          onPointerCancel={onPointerUp}
        >
          <img src={after} alt={`${name}, compressed`} width={width} height={height} draggable={false} />
          {before !== undefined && !missing && (
            <>
              <img
                className="before"
                src={before}
                alt={`${name}, the source`}
                width={width}
                height={height}
                draggable={false}
                onError={() => setMissing(true)}
                style={{ clipPath: `inset(0 ${flicker ? 0 : 100 - position}% 0 0)` }}
              />
              {!flicker && <span className="divider" style={{ left: `${position}%` }} aria-hidden="true" />}
            </>
          )}
        </div>
      </div>
    </figure>
  );
}
