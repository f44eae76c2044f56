/** What needs somebody: failures by cause and host, with what to do. Nothing is shown when nothing failed. */

import type { FailuresFragment, SummaryFragment } from '../gql/graphql';
import { count } from './format';
import { useParameter } from './router';
import { RepeatFailed } from './RepeatFailed';
import { images, isFinal } from './ui';

export function Failures({ current }: { current: SummaryFragment & FailuresFragment }) {
  const [, setCode] = useParameter('code');
  const [, setTab] = useParameter('tab');
  const groups = current.failureGroups;
  if (groups.length === 0) return null;

  function show(code: string) {
    setTab('');
    setCode(code);
    requestAnimationFrame(() => document.querySelector('.tabs')?.scrollIntoView({ block: 'start' }));
  }

  return (
    <section className="failures" aria-label="Failures">
      <div className="heading">
        <h2>{images(current.progress.failed)} failed</h2>
        {isFinal(current.status) && <RepeatFailed requestId={current.id} />}
      </div>
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
                  : 'The address or the image has to be mended.'}{' '}
                For example <span className="url">{group.example.inputUrl}</span>
              </small>
            </div>
            <button type="button" onClick={() => show(group.code)}>
              Show
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
