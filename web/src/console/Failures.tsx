/** What needs somebody: failures by cause and host, with what to do. Nothing is shown when nothing failed. */

import { useState } from 'react';
import { useMutation } from 'urql';
import {
  type FailedImageFilter,
  type FailuresFragment,
  RetryDocument,
  type SummaryFragment,
} from '../gql/graphql';
import { sentence } from './api';
import { count } from './format';
import { type Mended, MendedRows } from './MendedRows';
import { useParameter } from './router';
import { RepeatFailed } from './RepeatFailed';
import { ReplaceInUrls } from './ReplaceInUrls';
import { ReplaceUrl } from './ReplaceUrl';
import { Fault, images, isFinal } from './ui';

interface Props {
  current: SummaryFragment & FailuresFragment;
  /** Called when another run has begun. */
  onRetry: () => void;
  onMended: (mended: Mended) => void;
}

export function Failures({ current, onRetry, onMended }: Props) {
  const [, setCode] = useParameter('code');
  const [, setTab] = useParameter('tab');
  const [{ fetching }, mutate] = useMutation(RetryDocument);
  const [refusal, setRefusal] = useState<string>();
  /** The example of the group whose addresses are being replaced. */
  const [replacing, setReplacing] = useState<string>();
  const groups = current.failureGroups;
  const { failed, canceled } = current.progress;
  const ended = isFinal(current.status);
  if (groups.length === 0 && !(ended && canceled > 0)) return null;

  async function retry(filter?: FailedImageFilter) {
    const { data, error } = await mutate({ input: { requestId: current.id, filter } });
    const refused = data?.retryFailedImages.userErrors[0]?.message;
    setRefusal(error ? sentence(error) : refused);
    if (!error && !refused) onRetry();
  }

  function show(code: string) {
    setTab('');
    setCode(code);
    requestAnimationFrame(() => document.querySelector('.tabs')?.scrollIntoView({ block: 'start' }));
  }

  return (
    <section className="failures" aria-label="Failures">
      <div className="heading">
        <h2>{failed > 0 ? `${images(failed)} failed` : `${images(canceled)} canceled`}</h2>
        {ended && (
          <>
            <button type="button" className="primary" disabled={fetching} onClick={() => void retry()}>
              {failed + canceled === 1 ? 'Try it again' : 'Try all again'}
            </button>
            <MendedRows requestId={current.id} onMended={onMended} />
            <RepeatFailed requestId={current.id} />
          </>
        )}
      </div>
      {refusal && <Fault title={refusal} />}
      <ul>
        {groups.map((group) => (
          <li key={`${group.code} ${group.host}`}>
            <b>{count(group.count)}</b>
            <div>
              <strong>{group.host ?? 'No host'}</strong>
              <p>{group.example.error?.message}</p>
              <small className="quiet">
                {group.retryable
                  ? 'Trying again later may help.'
                  : 'The address or the image has to be corrected.'}{' '}
                {group.count > 1 && 'For example '}
                <span className="url">{group.example.inputUrl}</span>
              </small>
              {ended && replacing === group.example.id && group.count > 1 && (
                <ReplaceInUrls
                  requestId={current.id}
                  example={group.example.inputUrl}
                  onMended={(mended) => {
                    setReplacing(undefined);
                    onMended(mended);
                  }}
                />
              )}
              {ended && replacing === group.example.id && group.count === 1 && (
                <ReplaceUrl
                  imageId={group.example.id}
                  inputUrl={group.example.inputUrl}
                  onReplaced={() => {
                    setReplacing(undefined);
                    onRetry();
                  }}
                />
              )}
            </div>
            <div className="actions">
              {ended && (
                <button
                  type="button"
                  disabled={fetching}
                  onClick={() =>
                    void retry({ codes: [group.code], hosts: group.host == null ? undefined : [group.host] })
                  }
                >
                  Try again<span className="hidden"> {group.host}</span>
                </button>
              )}
              {ended && group.host != null && (
                <button
                  type="button"
                  aria-expanded={replacing === group.example.id}
                  onClick={() => setReplacing(replacing === group.example.id ? undefined : group.example.id)}
                >
                  {group.count === 1 ? 'Replace its address' : 'Replace in the addresses'}
                </button>
              )}
              <button type="button" onClick={() => show(group.code)}>
                Show
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
