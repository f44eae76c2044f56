/** What there is to download, and what each file is for. */

import { useState } from 'react';
import { useMutation, useQuery } from 'urql';
import { type FileFragment, RerunDocument, ResultsDocument } from '../gql/graphql';
import { here, sentence } from './api';
import { chooseResult } from './file';
import { dateTime } from './format';
import { Fault, Skeleton } from './ui';

interface Props {
  requestId: string;
  /** When the compressed images are removed, or were. */
  outputsExpireAt?: string | null;
  /** When the request is deleted. */
  expiresAt?: string | null;
  failedRows: boolean;
  /** Called when another run has begun. */
  onRerun: () => void;
}

export function Results({ requestId, outputsExpireAt, expiresAt, failedRows, onRerun }: Props) {
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
  const expired = outputsExpireAt != null && hasPassed(outputsExpireAt);
  return (
    <section aria-label="Results">
      <h2>Results</h2>
      {error && <Fault title={sentence(error)} />}
      {failure && <Fault title={failure} />}
      {!files && !error && <Skeleton rows={1} height={72} />}
      {expired ? (
        <div className="notice" data-kind="wait" role="status">
          <p>
            <strong>The compressed images were removed on {dateTime(outputsExpireAt)}.</strong> Links to them
            no longer work. Their records are kept
            {expiresAt ? ` until ${dateTime(expiresAt)}, when this request is deleted` : ''}.
          </p>
          <div className="actions">
            <button type="button" disabled={isBeginning} onClick={() => void lookForChanges()}>
              Compress them again
            </button>
          </div>
        </div>
      ) : (
        <Kept outputsExpireAt={outputsExpireAt} expiresAt={expiresAt} />
      )}
      {files && (
        <ul className="results">
          {!expired && (
            <>
              <Result file={files.output} title="Output CSV" primary>
                Every row of the upload, in order, with the new image URLs.
              </Result>
              <Result file={files.updated} title="Updated file">
                The uploaded file with the new image URLs in place of the old ones: import it into your shop.
              </Result>
            </>
          )}
          {failedRows && (
            <Result file={files.failedRows} title="Rows to correct">
              Only the rows that need attention, each with its reason. Correct them and drop the file here.
            </Result>
          )}
          <Result file={files.details} title="Details">
            One line for each image: status, reason, bytes, score and URLs.
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
          {!expired && (
            <li>
              <button type="button" disabled={isBeginning} onClick={() => void lookForChanges()}>
                Look for changes
              </button>
              <small>
                Asks every host whether its image has changed, and compresses only those that have. The rest
                keep their addresses.
              </small>
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

const hasPassed = (moment: string) => new Date(moment).getTime() <= Date.now();

/** Until when the files are there. */
function Kept({ outputsExpireAt, expiresAt }: Pick<Props, 'outputsExpireAt' | 'expiresAt'>) {
  if (expiresAt && expiresAt === outputsExpireAt) {
    return (
      <p className="quiet">
        Kept until <time dateTime={expiresAt}>{dateTime(expiresAt)}</time>. Then this request is deleted with
        its images, and links to them stop working.
      </p>
    );
  }
  if (!outputsExpireAt) return null;
  return (
    <p className="quiet">
      The compressed images are kept until <time dateTime={outputsExpireAt}>{dateTime(outputsExpireAt)}</time>
      . Then links to them stop working.
      {expiresAt && (
        <>
          {' '}
          This request is deleted on <time dateTime={expiresAt}>{dateTime(expiresAt)}</time>.
        </>
      )}
    </p>
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
