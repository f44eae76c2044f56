/** The hosts that the images come from, and which of them keep them waiting. */

import { useEffect } from 'react';
import { useQuery } from 'urql';
import { HostsDocument, type HostsQuery, type HostStatus } from '../gql/graphql';
import { sentence } from './api';
import { count, since } from './format';
import { Empty, Fault, Skeleton } from './ui';

type Host = NonNullable<HostsQuery['processingRequest']>['hosts'][number];

const RELOAD_MS = 2_000;

const STATUS: Record<HostStatus, string> = {
  OPEN: 'Answers',
  PAUSED: 'Asked for a pause',
  DOWN: 'Does not answer',
};

/** The hosts, read anew every two seconds while the request goes on. */
function useHosts(requestId: string, isFinal: boolean) {
  const [{ data, error }, again] = useQuery({ query: HostsDocument, variables: { id: requestId } });
  useEffect(() => {
    if (isFinal) {
      again({ requestPolicy: 'network-only' });
      return;
    }
    const timer = setInterval(() => {
      if (!document.hidden) again({ requestPolicy: 'network-only' });
    }, RELOAD_MS);
    return () => clearInterval(timer);
  }, [isFinal, again]);
  return { hosts: data?.processingRequest?.hosts, error };
}

/** Says which hosts keep a running request waiting; nothing when none does. */
export function WaitingHosts({ requestId }: { requestId: string }) {
  const { hosts } = useHosts(requestId, false);
  const waiting = hosts?.filter((host) => host.status !== 'OPEN') ?? [];
  if (waiting.length === 0) return null;
  return (
    <div className="notice" data-kind="wait" role="status">
      {waiting.map((host) => (
        <p key={host.host}>
          <strong>{host.host}</strong>{' '}
          {host.status === 'DOWN' ? 'does not answer.' : 'asked not to be contacted for a while.'} Its images
          are waiting
          {host.pausedUntil && `; they will be tried again ${since(host.pausedUntil)}`}.
        </p>
      ))}
    </div>
  );
}

export function Hosts({ requestId, isFinal }: { requestId: string; isFinal: boolean }) {
  const { hosts, error } = useHosts(requestId, isFinal);
  if (error && !hosts) return <Fault title={sentence(error)} />;
  if (!hosts) return <Skeleton rows={2} />;
  if (hosts.length === 0) return <Empty title="This request has no image hosts" />;
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Hosts">
      <table>
        <thead>
          <tr>
            <th scope="col">Host</th>
            <th scope="col">State</th>
            <th scope="col">Done</th>
            <th scope="col">Failed</th>
            <th scope="col">Downloading</th>
            <th scope="col">Maximum at once</th>
            <th scope="col">Median time</th>
          </tr>
        </thead>
        <tbody>
          {hosts.map((host) => (
            <tr key={host.host}>
              <td>
                <code>{host.host}</code>
              </td>
              <td>{state(host)}</td>
              <td>{count(host.succeeded)}</td>
              <td>{count(host.failed)}</td>
              <td>{count(host.inFlight)}</td>
              <td>{host.window == null ? '–' : count(host.window)}</td>
              <td>{host.medianMs == null ? '–' : `${count(host.medianMs)} ms`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function state(host: Host): string {
  const until = host.status !== 'OPEN' && host.pausedUntil ? `, again ${since(host.pausedUntil)}` : '';
  return STATUS[host.status] + until;
}
