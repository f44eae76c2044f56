/**
 * The images of a request, in the order of its sheet. Only what is in sight is loaded and drawn, so that one gets anywhere
 * in a hundred thousand images at once.
 */

import { useWindowVirtualizer } from '@tanstack/react-virtual';
import {
  type FormEvent,
  type KeyboardEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import type { CellFragment, ImageFilter } from '../gql/graphql';
import { here } from './api';
import { type Cells as CellsOfList, useCells } from './cells';
import { cause, count, fileName, percent } from './format';
import { Link, useParameter } from './router';
import { Empty, Fault, IMAGE_STATUS, Mark, Skeleton } from './ui';

const CELL = 148;
const GAP = 8;
/** Scrolling must rest so long before pages are loaded: who drags the bar through all of them wants the last. */
const REST_MS = 60;
/** Below so many images nobody has to jump. */
const JUMP_FROM = 200;

const FILTERS: Record<string, { label: string; filter?: ImageFilter }> = {
  '': { label: 'All' },
  done: { label: 'Done', filter: { status: ['SUCCEEDED'] } },
  failed: { label: 'Failed', filter: { status: ['FAILED'] } },
  waiting: { label: 'Waiting', filter: { status: ['PENDING', 'PROCESSING', 'RETRYING'] } },
  canceled: { label: 'Canceled', filter: { status: ['CANCELED'] } },
};

interface Props {
  requestId: string;
  /** Of the first snapshot: what ends after it is watched. */
  revision: number;
  isFinal: boolean;
}

export function ImageGrid({ requestId, revision, isFinal }: Props) {
  const [state, setState] = useParameter('images');
  const [code, setCode] = useParameter('code');
  const filter = code
    ? ({ status: ['FAILED'], errorCode: [code] } as ImageFilter)
    : (FILTERS[state] ?? FILTERS[''])?.filter;
  const cells = useCells({ requestId, filter, revision, isFinal });
  const { total, failure, retry } = cells;

  return (
    <>
      <div className="filters">
        <div className="segments" role="group" aria-label="Images">
          {Object.entries(FILTERS).map(([key, { label }]) => (
            <button
              key={key}
              type="button"
              aria-pressed={!code && state === key}
              onClick={() => {
                setCode('');
                setState(key);
              }}
            >
              {label}
            </button>
          ))}
        </div>
        {code && (
          <button type="button" className="chip" onClick={() => setCode('')}>
            Only {cause(code)} <span aria-hidden="true">✕</span>
            <span className="hidden">Show all causes</span>
          </button>
        )}
      </div>
      {failure && <Fault title={failure} retry={retry} />}
      {total === undefined && !failure && <Skeleton rows={1} height={CELL} />}
      {total === 0 && <Empty title="No image is in this state" />}
      {total !== undefined && total > 0 && <Cells key={code || state} cells={cells} total={total} />}
    </>
  );
}

function Cells({ cells, total }: { cells: CellsOfList; total: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      setWidth(element.clientWidth);
      setTop(element.getBoundingClientRect().top + scrollY);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);

  const columns = Math.max(2, Math.floor((width + GAP) / (CELL + GAP)));
  const rows = Math.ceil(total / columns);
  const virtualizer = useWindowVirtualizer({
    count: rows,
    estimateSize: () => CELL + GAP,
    overscan: 4,
    scrollMargin: top,
  });
  const visible = virtualizer.getVirtualItems();
  const first = (visible[0]?.index ?? 0) * columns;
  const last = Math.min(total, ((visible.at(-1)?.index ?? 0) + 1) * columns) - 1;
  const { show } = cells;
  useEffect(() => {
    const timer = setTimeout(() => show(first, last), REST_MS);
    return () => clearTimeout(timer);
  }, [first, last, show]);

  /** The image that is to have the focus once it is here. */
  const wanted = useRef<number>(undefined);
  function focusWanted() {
    if (wanted.current === undefined) return;
    const cell = box.current?.querySelector<HTMLElement>(`a[data-index="${wanted.current}"]`);
    if (!cell) return;
    wanted.current = undefined;
    cell.focus({ preventScroll: true });
  }
  useEffect(focusWanted);

  const focusAt = useCallback(
    (index: number) => {
      if (index < 0 || index >= total) return;
      wanted.current = index;
      virtualizer.scrollToIndex(Math.floor(index / columns), { align: 'auto' });
      focusWanted();
    },
    [total, columns, virtualizer],
  );

  function onKeyDown(event: KeyboardEvent) {
    const at = Number((event.target as HTMLElement).dataset.index ?? -1);
    if (at < 0 || event.metaKey || event.ctrlKey || event.altKey) return;
    const step = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
      j: 1,
      k: -1,
      Home: -at,
      End: total - 1 - at,
    }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    focusAt(at + step);
  }

  const template = useMemo(() => `repeat(${columns}, minmax(0, 1fr))`, [columns]);
  function jump(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const place = Number(new FormData(event.currentTarget).get('place'));
    virtualizer.scrollToIndex(Math.floor((place - 1) / columns), { align: 'start' });
    wanted.current = place - 1;
  }

  return (
    <>
      {total > JUMP_FROM && (
        <form className="jump" onSubmit={jump}>
          <label>
            Go to image
            <input type="number" name="place" min={1} max={total} required />
          </label>
          <span>of {count(total)}</span>
          <button type="submit">Go</button>
        </form>
      )}
      <div ref={box} className="grid" style={{ height: virtualizer.getTotalSize() }} onKeyDown={onKeyDown}>
        {width > 0 &&
          visible.map((row) => (
            <div
              key={row.key}
              className="grid-row"
              style={{
                gridTemplateColumns: template,
                transform: `translateY(${row.start - virtualizer.options.scrollMargin}px)`,
              }}
            >
              {Array.from({ length: Math.min(columns, total - row.index * columns) }, (_, column) => {
                const index = row.index * columns + column;
                const cell = cells.at(index);
                if (cell) return <Cell key={index} cell={cell} index={index} />;
                return <span key={index} className="cell" data-index={index} aria-hidden="true" />;
              })}
            </div>
          ))}
      </div>
    </>
  );
}

function Cell({ cell, index }: { cell: CellFragment; index: number }) {
  const [broken, setBroken] = useState(false);
  const picture = broken ? cell.output?.url : (cell.thumbnailUrl ?? cell.output?.url);
  const name = fileName(cell.inputUrl);
  const kept = cell.outcome === 'KEPT_ORIGINAL';
  const saved =
    cell.source && cell.output && !kept
      ? percent(1 - cell.output.byteSize / cell.source.byteSize)
      : undefined;
  const before = cell.outcome === 'REUSED' || cell.outcome === 'UNCHANGED';
  const state = kept ? 'Kept as it was' : before ? 'Compressed before' : IMAGE_STATUS[cell.status];
  return (
    <Link
      href={`/images/${cell.id}`}
      className="cell"
      data-index={index}
      data-status={cell.status}
      title={cell.error?.message ?? name}
    >
      {picture ? (
        <img src={here(picture)} alt="" loading="lazy" decoding="async" onError={() => setBroken(true)} />
      ) : (
        <span className="reason">
          {cell.error
            ? cause(cell.error.code)
            : cell.output && !cell.output.url
              ? 'removed'
              : state.toLowerCase()}
        </span>
      )}
      <span className="caption">
        <Mark kind={kept ? 'KEPT' : cell.status} />
        <span>{name}</span>
        <span className="hidden">: {state}</span>
        {saved && <b>−{saved}</b>}
      </span>
    </Link>
  );
}
