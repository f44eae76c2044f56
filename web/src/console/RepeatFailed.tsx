/** Takes the rows that need attention as a new upload. */

import { useState } from 'react';
import { useClient } from 'urql';
import { ResultsDocument } from '../gql/graphql';
import { sentence } from './api';
import { chooseResult } from './file';

export function RepeatFailed({ requestId }: { requestId: string }) {
  const client = useClient();
  const [failure, setFailure] = useState<string>();
  const [busy, setBusy] = useState(false);

  async function repeat() {
    setBusy(true);
    try {
      const { data, error } = await client.query(
        ResultsDocument,
        { id: requestId },
        { requestPolicy: 'network-only' },
      );
      if (error) setFailure(sentence(error));
      else if (data?.processingRequest) await chooseResult(data.processingRequest.failedRows);
    } catch (error) {
      setFailure((error as Error).message);
    }
    setBusy(false);
  }

  return (
    <>
      {failure && <span role="alert">{failure}</span>}
      <button type="button" disabled={busy} onClick={() => void repeat()}>
        Upload the rows as a new request
      </button>
    </>
  );
}
