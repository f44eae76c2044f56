/** What there is to download, and what each file is for. */

import { useState } from 'react';
import { useQuery } from 'urql';
import { type FileFragment, ResultsDocument } from '../gql/graphql';
import { here, sentence } from './api';
import { chooseResult } from './file';
import { Fault, Skeleton } from './ui';

export function Results({ requestId, failedRows }: { requestId: string; failedRows: boolean }) {
  const [{ data, error }] = useQuery({ query: ResultsDocument, variables: { id: requestId } });
  const [failure, setFailure] = useState<string>();
  const files = data?.processingRequest;
  return (
    <section aria-label="Results">
      <h2>Results</h2>
      {error && <Fault title={sentence(error)} />}
      {failure && <Fault title={failure} />}
      {!files && !error && <Skeleton rows={1} height={72} />}
      {files && (
        <ul className="results">
          <Result file={files.output} title="Output CSV" primary>
            Every row of the upload, in its order, with the new image URLs.
          </Result>
          {failedRows && (
            <Result file={files.failedRows} title="Rows to mend">
              Only the rows that need attention, each with its reason. Mend them and drop the file here.
            </Result>
          )}
          <Result file={files.details} title="Details">
            A line for each image: status, reason, bytes, score and URLs.
          </Result>
          <li>
            <button
              type="button"
              onClick={() => chooseResult(files.output).catch((error: Error) => setFailure(error.message))}
            >
              Compress again
            </button>
            <small>The same rows with other settings, as a new request.</small>
          </li>
        </ul>
      )}
    </section>
  );
}

function Result({
  file,
  title,
  primary = false,
  children,
}: {
  file: FileFragment;
  title: string;
  primary?: boolean;
  children: string;
}) {
  return (
    <li>
      <a className={primary ? 'button primary' : 'button'} href={here(file.url)} download={file.filename}>
        {title}
      </a>
      <small>{children}</small>
    </li>
  );
}
