/** Takes the file of failed rows back, with better addresses in it, and does those images again in place. */

import { useMutation } from 'urql';
import { ReplaceUrlsDocument, type ReplaceUrlsMutation } from '../gql/graphql';
import { sentence } from './api';
import { many } from './format';
import { Fault, images } from './ui';

export interface Mended {
  filename: string;
  failure?: string;
  answer?: ReplaceUrlsMutation['replaceImageUrls'];
}

export function MendedRows({
  requestId,
  onMended,
}: {
  requestId: string;
  onMended: (mended: Mended) => void;
}) {
  const [{ fetching }, replace] = useMutation(ReplaceUrlsDocument);
  return (
    <label className="button" aria-disabled={fetching}>
      {fetching ? 'Reading…' : 'Apply the corrected rows'}
      <input
        type="file"
        accept=".csv,text/csv"
        className="hidden"
        disabled={fetching}
        onChange={({ target }) => {
          const file = target.files?.[0];
          target.value = '';
          if (!file) return;
          void replace({ input: { requestId, file } }).then(({ data, error }) =>
            onMended({
              filename: file.name,
              failure: error && sentence(error),
              answer: data?.replaceImageUrls,
            }),
          );
        }}
      />
    </label>
  );
}

/** What became of the file. It stays while the images are done again. */
export function MendedOutcome({ filename, failure, answer }: Mended) {
  const refusal = failure ?? answer?.userErrors[0]?.message;
  if (!answer || refusal) return <Fault title={refusal ?? `${filename} could not be read.`} />;
  return (
    <div className="notice" data-kind="done" role="status">
      <p>
        {images(answer.imageCount)} of {filename} {answer.imageCount === 1 ? 'is' : 'are'} processed again.
      </p>
      {answer.skippedCount > 0 && (
        <details>
          <summary>{many(answer.skippedCount, 'change')} not applied</summary>
          <ul>
            {answer.skipped.map(({ line, message }) => (
              <li key={`${line} ${message}`}>
                Line {line}: {message}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
