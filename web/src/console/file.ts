/** The file that was dropped or chosen, on its way to the page that checks it. */

import { useSyncExternalStore } from 'react';
import { here } from './api';
import { navigate } from './router';
import type { Choice } from './settings';

let chosen: File | undefined;
let settings: Partial<Choice> | undefined;
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

/** The settings that were chosen with the file, if any were. */
export const chosenSettings = () => settings;

export function choose(file: File, withSettings?: Partial<Choice>) {
  chosen = file;
  settings = withSettings;
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
