/** What there is to download, and what each file is for. */

import { useState } from 'react';
import { useMutation, useQuery } from 'urql';
import { type FileFragment, RerunDocument, ResultsDocument } from '../gql/graphql';
import { here, sentence } from './api';
import { chooseResult } from './file';
import { Fault, Skeleton } from './ui';

interface Props {
  requestId: string;
  failedRows: boolean;
  /** Called when another run has begun. */
  onRerun: () => void;
}

export function Results({ requestId, failedRows, onRerun }: Props) {
  const [{ data, error }] = useQuery({ query: ResultsDocument, variables: { id: requestId } });
  const [{ fetching: isBeginning }, rerun] = useMutation(RerunDocument);
  const [failure, setFailure] = useState<string>();

  async function lookForChanges() {
    const { data, error } = await rerun({ id: requestId });
    const refusal = error ? sentence(error) : data?.rerunProcessingRequest.userErrors[0]?.message;
    setFailure(refusal);
    if (!refusal) onRerun();
  }

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
          <Result file={files.updated} title="Updated file">
            The file as it was uploaded, with the new image URLs in place of the old: import it into your
            shop.
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
          <li>
            <button type="button" disabled={isBeginning} onClick={() => void lookForChanges()}>
              Look for changes
            </button>
            <small>
              Asks every host whether its image has changed, and compresses only what has. The rest keeps its
              address.
            </small>
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
