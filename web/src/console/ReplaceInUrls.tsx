/** A part of many addresses that was replaced: a host that has moved, a folder with another name. */

import { useId, useState } from 'react';
import { useClient } from 'urql';
import { ReplaceUrlsDocument, ResultsDocument } from '../gql/graphql';
import { here, sentence } from './api';
import type { Mended } from './MendedRows';

interface Props {
  requestId: string;
  /** One of the addresses. */
  example: string;
  onMended: (mended: Mended) => void;
}

export function ReplaceInUrls({ requestId, example, onMended }: Props) {
  const client = useClient();
  const [part, setPart] = useState(() => new URL(example).origin);
  const [other, setOther] = useState('');
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const id = useId();

  /** Applies the rows that failed, with the part replaced, as somebody would who mends the file by hand. */
  async function replace() {
    const results = await client
      .query(ResultsDocument, { id: requestId }, { requestPolicy: 'network-only' })
      .toPromise();
    if (results.error || !results.data?.processingRequest) {
      throw new Error(results.error ? sentence(results.error) : 'This request no longer exists.');
    }
    const { url, filename } = results.data.processingRequest.failedRows;
    const response = await fetch(here(url));
    if (!response.ok)
      throw new Error('The failed rows could not be downloaded. Reload the page and try again.');
    const rows = await response.text();
    if (!rows.includes(part)) throw new Error(`No address of a failed row contains “${part}”.`);
    const file = new File([rows.replaceAll(part, other)], filename, { type: 'text/csv' });
    const { data, error } = await client
      .mutation(ReplaceUrlsDocument, { input: { requestId, file } })
      .toPromise();
    onMended({ filename, failure: error && sentence(error), answer: data?.replaceImageUrls });
  }

  return (
    <form
      className="replace"
      onSubmit={(event) => {
        event.preventDefault();
        setBusy(true);
        setFailure(undefined);
        replace()
          .catch((error: Error) => setFailure(error.message))
          .finally(() => setBusy(false));
      }}
    >
      <label htmlFor={id}>In all addresses that failed, replace</label>
      <input
        id={id}
        required
        pattern={'[^",\\s]+'}
        title="No spaces, commas or quotes"
        value={part}
        onChange={(event) => setPart(event.target.value)}
      />
      <label htmlFor={`${id}-other`}>with</label>
      <input
        id={`${id}-other`}
        required
        pattern={'[^",\\s]+'}
        title="No spaces, commas or quotes"
        value={other}
        aria-invalid={failure !== undefined}
        aria-describedby={`${id}-failure`}
        onChange={(event) => setOther(event.target.value)}
      />
      <button type="submit" disabled={busy || part === other}>
        {busy ? 'Replacing…' : 'Replace and try again'}
      </button>
      <p id={`${id}-failure`} role="alert">
        {failure}
      </p>
    </form>
  );
}
