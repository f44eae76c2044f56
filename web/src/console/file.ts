/** The file that was dropped or chosen, on its way to the page that checks it. */

import { useSyncExternalStore } from 'react';
import { here } from './api';
import { navigate } from './router';

let chosen: File | undefined;
const listeners = new Set<() => void>();

export function useChosenFile(): File | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => chosen,
  );
}

export function choose(file: File) {
  chosen = file;
  for (const listener of listeners) listener();
  navigate('/new');
}

/** Takes a result file as the next upload: an output, or the rows that need attention. */
export async function chooseResult(result: { url: string; filename: string }) {
  const response = await fetch(here(result.url));
  if (!response.ok)
    throw new Error('The file could not be downloaded. Its link may have expired: reload the page.');
  choose(new File([await response.blob()], result.filename, { type: 'text/csv' }));
}
