/**
 * The images of a request by their place in the list. Pages are loaded where somebody looks, in any order, and far ones
 * are dropped, so that a hundred thousand images cost no more than a few thousand.
 */

import { useCallback, useEffect, useReducer, useRef, useState } from 'react';
import { useClient } from 'urql';
import { type CellFragment, ImageUpdatedDocument, type ImageFilter, ImagesDocument } from '../gql/graphql';
import { sentence } from './api';
import { useWatch } from './live';

/** Images of a page, as the document asks for them. */
const PAGE = 100;
/** Pages that are kept. */
const MOST_PAGES = 40;
/** How often a filtered list is read anew while its request goes on: images come into it and leave it. */
const REFRESH_MS = 3_000;

interface Options {
  requestId: string;
  filter?: ImageFilter;
  /** Of the first snapshot: what ends after it is watched. */
  revision: number;
  isFinal: boolean;
}

interface List {
  pages: Map<number, CellFragment[]>;
  loading: Set<number>;
  /** What ended while pages were on their way: they may be older. */
  ended: Map<string, CellFragment>;
}

const emptyList = (): List => ({ pages: new Map(), loading: new Set(), ended: new Map() });

export interface Cells {
  /** How many images the list has; undefined until the first page has come. */
  total?: number;
  failure?: string;
  /** The image at this place, if its page is here. */
  at: (index: number) => CellFragment | undefined;
  /** Loads what is between these places. */
  show: (first: number, last: number) => void;
  retry: () => void;
}

export function useCells({ requestId, filter, revision, isFinal }: Options): Cells {
  const client = useClient();
  const key = `${requestId} ${JSON.stringify(filter)}`;
  const list = useRef(emptyList());
  const sight = useRef({ first: 0, last: 0 });
  const [total, setTotal] = useState<number>();
  const [failure, setFailure] = useState<string>();
  const [, draw] = useReducer((drawn: number) => drawn + 1, 0);

  const load = useCallback(
    async (page: number) => {
      const mine = list.current;
      if (mine.loading.has(page)) return;
      mine.loading.add(page);
      const variables = { id: requestId, offset: page * PAGE, filter };
      const { data, error } = await client.query(ImagesDocument, variables, {
        requestPolicy: 'network-only',
      });
      if (list.current !== mine) return; // another filter was chosen meanwhile
      mine.loading.delete(page);
      setFailure(error && sentence(error));
      const images = data?.processingRequest?.images;
      if (!images) return;
      mine.pages.set(
        page,
        images.nodes.map((cell) => mine.ended.get(cell.id) ?? cell),
      );
      dropFar(mine.pages, Math.floor(sight.current.first / PAGE));
      setTotal(images.totalCount);
      draw();
    },
    [client, key],
  );

  const show = useCallback(
    (first: number, last: number) => {
      sight.current = { first, last };
      for (const page of pagesOf(first, last)) {
        if (!list.current.pages.has(page)) void load(page);
      }
    },
    [load],
  );

  useEffect(() => {
    list.current = emptyList();
    setTotal(undefined);
    setFailure(undefined);
    void load(0);
  }, [load]);

  // Until the server has said that nothing more comes, also when the request has ended in the meantime.
  const [watched, setWatched] = useState(!isFinal);
  const cursor = useRef(String(revision));
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
            list.current.ended.set(imageUpdated.image.id, imageUpdated.image);
            // Updates come by the hundred: they are drawn once a frame.
            frame.current ||= requestAnimationFrame(() => {
              frame.current = 0;
              apply(list.current);
              draw();
            });
          },
          onEnd: () => setWatched(false),
        }
      : undefined,
  );

  const refresh = useCallback(() => {
    const { first, last } = sight.current;
    const seen = pagesOf(first, last);
    for (const page of list.current.pages.keys()) if (!seen.includes(page)) list.current.pages.delete(page);
    for (const page of seen) void load(page);
  }, [load]);
  const moves = filter !== undefined && watched;
  useEffect(() => {
    if (!moves) return;
    const timer = setInterval(() => {
      if (!document.hidden) refresh();
    }, REFRESH_MS);
    return () => {
      clearInterval(timer);
      refresh();
    };
  }, [moves, refresh]);

  const at = (index: number) => list.current.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  return { total, failure, at, show, retry: refresh };
}

function pagesOf(first: number, last: number): number[] {
  const from = Math.floor(first / PAGE);
  return Array.from({ length: Math.floor(last / PAGE) - from + 1 }, (_, page) => from + page);
}

/** Puts what ended into the pages that are here, and forgets it unless a page is on its way. */
function apply({ pages, loading, ended }: List) {
  for (const [page, cells] of pages) {
    if (cells.some((cell) => ended.has(cell.id))) {
      pages.set(
        page,
        cells.map((cell) => ended.get(cell.id) ?? cell),
      );
    }
  }
  if (loading.size === 0) ended.clear();
}

function dropFar(pages: Map<number, CellFragment[]>, here: number) {
  if (pages.size <= MOST_PAGES) return;
  const byDistance = [...pages.keys()].sort((a, b) => Math.abs(b - here) - Math.abs(a - here));
  for (const page of byDistance.slice(0, pages.size - MOST_PAGES)) pages.delete(page);
}
