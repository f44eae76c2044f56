/** Where a file is dropped or chosen. The whole window takes one. */

import { useEffect, useState } from 'react';
import { useQuery } from 'urql';
import { LimitsDocument } from '../gql/graphql';
import { choose } from './file';
import { bytes, count } from './format';

function isFileDrag(event: DragEvent) {
  return event.dataTransfer?.types.includes('Files') ?? false;
}

/** Takes files that are dropped anywhere, and says so while one is held over the window. */
export function WindowDrop() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const enter = (event: DragEvent) => {
      if (!isFileDrag(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!isFileDrag(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hold = (event: DragEvent) => {
      if (isFileDrag(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!isFileDrag(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) choose(file);
    };
    addEventListener('dragenter', enter);
    addEventListener('dragleave', leave);
    addEventListener('dragover', hold);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragenter', enter);
      removeEventListener('dragleave', leave);
      removeEventListener('dragover', hold);
      removeEventListener('drop', drop);
    };
  }, []);
  return over ? (
    <div className="drop-cover" aria-hidden="true">
      <p>Drop the CSV to check it</p>
    </div>
  ) : null;
}

export function DropZone() {
  const [{ data }] = useQuery({ query: LimitsDocument, requestPolicy: 'cache-first' });
  const limits = data?.limits.csv;
  return (
    <label className="drop-zone">
      <input
        type="file"
        accept=".csv,.tsv,.txt,.gz,.zip,.xlsx,.xlsm,.ods,text/csv"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) choose(file);
        }}
      />
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <path d="M12 15V4m-4 4 4-4 4 4M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3" />
      </svg>
      <span>
        <strong>Drop a CSV here, or choose one</strong>
        <small>
          One product in each row, with its image URLs.{' '}
          {limits && `Up to ${bytes(limits.maxBytes)} and ${count(limits.maxImages)} images.`}
        </small>
      </span>
    </label>
  );
}
