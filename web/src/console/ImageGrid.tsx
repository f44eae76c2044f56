/**
 * The images of a request, in the order of its sheet. Only what is in sight is drawn, and pages are loaded as they come
 * near, so that a hundred thousand images scroll like a hundred.
 */

import { useWindowVirtualizer } from '@tanstack/react-virtual';
import {
  type KeyboardEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useClient } from 'urql';
import { type CellFragment, ImageUpdatedDocument, type ImageFilter, ImagesDocument } from '../gql/graphql';
import { here, sentence } from './api';
import { fileName, percent } from './format';
import { useWatch } from './live';
import { Link, useParameter } from './router';
import { Empty, Fault, IMAGE_STATUS, Mark, Skeleton } from './ui';

const CELL = 148;
const GAP = 8;

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
  total: number;
}

export function ImageGrid({ requestId, revision, isFinal, total }: Props) {
  const [state, setState] = useParameter('images');
  const [code, setCode] = useParameter('code');
  const filter = code
    ? ({ status: ['FAILED'], errorCode: [code] } as ImageFilter)
    : (FILTERS[state] ?? FILTERS[''])?.filter;
  const { cells, hasMore, loading, failure, loadMore } = useCells({ requestId, filter, revision, isFinal });

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
            Only {code.toLowerCase().replaceAll('_', ' ')} <span aria-hidden="true">✕</span>
            <span className="hidden">Show all causes</span>
          </button>
        )}
      </div>
      {failure && (
        <Fault
          title={failure}
          action={
            <button type="button" onClick={loadMore}>
              Try again
            </button>
          }
        />
      )}
      {cells.length === 0 && !failure && (loading || hasMore) && <Skeleton rows={1} height={CELL} />}
      {cells.length === 0 && !loading && !hasMore && (
        <Empty title={total === 0 ? 'This request has no images' : 'No image is in this state'} />
      )}
      {cells.length > 0 && <Cells cells={cells} hasMore={hasMore} loadMore={loadMore} />}
    </>
  );
}

/** Pages of images, and what became of those that have ended since. */
function useCells({
  requestId,
  filter,
  revision,
  isFinal,
}: {
  requestId: string;
  filter?: ImageFilter;
  revision: number;
  isFinal: boolean;
}) {
  const client = useClient();
  const key = `${requestId} ${JSON.stringify(filter)}`;
  const [cells, setCells] = useState<CellFragment[]>([]);
  const [next, setNext] = useState<string | null | undefined>();
  const [hasMore, setHasMore] = useState(true);
  const [loading, setLoading] = useState(false);
  const [failure, setFailure] = useState<string>();
  const shown = useRef(key);
  const cursor = useRef(String(revision));
  const busy = useRef(false);

  /** What ended since the first snapshot. A page may be older than what was told before it came. */
  const ended = useRef(new Map<string, CellFragment>());
  const withEnded = useCallback(
    (page: CellFragment[]) => page.map((cell) => ended.current.get(cell.id) ?? cell),
    [],
  );

  const load = useCallback(
    async (after?: string | null) => {
      if (busy.current && after) return;
      busy.current = true;
      setLoading(true);
      const variables = { id: requestId, after, filter };
      const { data, error } = await client.query(ImagesDocument, variables, {
        requestPolicy: 'network-only',
      });
      if (shown.current !== key) return; // another filter was chosen meanwhile
      busy.current = false;
      setLoading(false);
      setFailure(error && sentence(error));
      const images = data?.processingRequest?.images;
      if (!images) return;
      const page = withEnded(images.edges.map((edge) => edge.node));
      setCells((before) => (after ? [...before, ...page] : page));
      setNext(images.pageInfo.endCursor);
      setHasMore(images.pageInfo.hasNextPage);
    },
    [client, key],
  );

  useEffect(() => {
    shown.current = key;
    busy.current = false;
    setCells([]);
    setHasMore(true);
    void load();
  }, [key]);

  // Until the server has said that nothing more comes, also when the request has ended in the meantime.
  const [watched, setWatched] = useState(!isFinal);
  const frame = useRef(0);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  useWatch(
    requestId,
    watched
      ? {
          document: ImageUpdatedDocument,
          variables: () => ({ requestId, after: cursor.current }),
          onData: ({ imageUpdated }) => {
            cursor.current = imageUpdated.cursor;
            ended.current.set(imageUpdated.image.id, imageUpdated.image);
            // Updates come by the hundred: they are drawn once a frame.
            frame.current ||= requestAnimationFrame(() => {
              frame.current = 0;
              setCells(withEnded);
            });
          },
          onEnd: () => setWatched(false),
        }
      : undefined,
  );

  const loadMore = useCallback(() => void load(next), [load, next]);
  return { cells, hasMore, loading, failure, loadMore };
}

function Cells({
  cells,
  hasMore,
  loadMore,
}: {
  cells: CellFragment[];
  hasMore: boolean;
  loadMore: () => void;
}) {
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
  const rows = Math.ceil(cells.length / columns);
  const virtualizer = useWindowVirtualizer({
    count: rows,
    estimateSize: () => CELL + GAP,
    overscan: 4,
    scrollMargin: top,
  });
  const visible = virtualizer.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last >= rows - 6) loadMore();
  }, [last, rows, hasMore, loadMore]);

  const focusAt = useCallback(
    (index: number) => {
      if (index < 0 || index >= cells.length) return;
      const focus = () => {
        const cell = box.current?.querySelector<HTMLElement>(`[data-index="${index}"]`);
        cell?.focus({ preventScroll: true });
        return cell != null;
      };
      virtualizer.scrollToIndex(Math.floor(index / columns), { align: 'auto' });
      // One that is out of sight is drawn first.
      if (!focus()) requestAnimationFrame(focus);
    },
    [cells.length, columns, virtualizer],
  );

  function onKeyDown(event: KeyboardEvent) {
    const at = Number((event.target as HTMLElement).dataset.index ?? -1);
    if (at < 0 || event.metaKey || event.ctrlKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, j: 1, k: -1 }[
      event.key
    ];
    if (step === undefined) return;
    event.preventDefault();
    focusAt(at + step);
  }

  const template = useMemo(() => `repeat(${columns}, minmax(0, 1fr))`, [columns]);
  return (
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
            {cells.slice(row.index * columns, (row.index + 1) * columns).map((cell, column) => (
              <Cell key={cell.id} cell={cell} index={row.index * columns + column} />
            ))}
          </div>
        ))}
    </div>
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
  const state = kept ? 'Kept as it was' : IMAGE_STATUS[cell.status];
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
          {cell.error?.code.toLowerCase().replaceAll('_', ' ') ?? state.toLowerCase()}
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
