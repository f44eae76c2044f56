/** Halftone as a whole: what is to be done, who does it, which hosts hold it up, and what is accepted. */

import { useEffect } from 'react';
import { useQuery } from 'urql';
import { type JobState, SystemDocument, type SystemQuery } from '../../gql/graphql';
import { at } from '../../base';
import { sentence } from '../api';
import { count, dateTime, duration, since } from '../format';
import { type Jobs, JobsChart, useHistory } from '../JobsChart';
import { Limits } from '../Limits';
import { Empty, Fault, Figure, Skeleton } from '../ui';

type System = SystemQuery['system'];

const RELOAD_MS = 2_000;

const STATES: [state: JobState, label: string, part: string][] = [
  ['RUNNING', 'Running', 'running'],
  ['READY', 'Ready', 'waiting'],
  ['WAITING', 'Waiting for their next attempt', 'again'],
];

const KINDS: Record<string, string> = { process_image: 'Images', deliver_webhook: 'Webhooks' };

export function System() {
  const [{ data, error }, again] = useQuery({ query: SystemDocument });
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) again({ requestPolicy: 'network-only' });
    }, RELOAD_MS);
    return () => clearInterval(timer);
  }, [again]);
  useHistory(data && jobsOf(data.system.queue), data);
  return (
    <>
      <h1>System</h1>
      {error && <Fault title={sentence(error)} retry={() => again({ requestPolicy: 'network-only' })} />}
      {!data && !error && <Skeleton rows={3} height={120} />}
      {data && (
        <>
          <Queue queue={data.system.queue} />
          <Workers workers={data.system.workers} />
          <UnavailableHosts hosts={data.system.hosts} />
        </>
      )}
      <section>
        <h2>Limits</h2>
        <Limits />
      </section>
      <p className="quiet">
        {data && `Halftone ${data.system.version} · `}
        <a href={at('/schema.graphql')}>The schema</a> ·{' '}
        <a href={at('/licenses')}>Licences of the libraries in these pages</a>
      </p>
    </>
  );
}

/** How many jobs are in a state, of one kind or of all. */
function countJobs(queue: System['queue'], state: JobState, kind?: string): number {
  return queue.jobs
    .filter((jobs) => jobs.state === state && (!kind || jobs.kind === kind))
    .reduce((sum, jobs) => sum + jobs.count, 0);
}

function jobsOf(queue: System['queue']): Jobs {
  return {
    running: countJobs(queue, 'RUNNING'),
    ready: countJobs(queue, 'READY'),
    waiting: countJobs(queue, 'WAITING'),
  };
}

function Queue({ queue }: { queue: System['queue'] }) {
  const inState = (state: JobState, kind?: string) => countJobs(queue, state, kind);
  const kinds = [...new Set(queue.jobs.map((jobs) => jobs.kind))];
  return (
    <section aria-label="Queue">
      <h2>Queue</h2>
      <dl className="figures">
        {STATES.map(([state, label]) => (
          <Figure key={state} label={label}>
            {count(inState(state))}
          </Figure>
        ))}
        <Figure label="Oldest job ready for">
          {queue.oldestReadySeconds == null ? '–' : duration(queue.oldestReadySeconds)}
        </Figure>
      </dl>
      <JobsChart />
      {kinds.length === 0 ? (
        <p className="quiet">There are no jobs.</p>
      ) : (
        <ul className="queue">
          {kinds.map((kind) => (
            <li key={kind}>
              <span>{KINDS[kind] ?? kind}</span>
              <div className="bar" aria-hidden="true">
                {STATES.map(([state, , part]) => (
                  <span key={state} data-part={part} style={{ flexGrow: inState(state, kind) }} />
                ))}
              </div>
              <span className="quiet">
                {STATES.filter(([state]) => inState(state, kind) > 0)
                  .map(([state, label]) => `${count(inState(state, kind))} ${label.toLowerCase()}`)
                  .join(', ')}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Workers({ workers }: { workers: System['workers'] }) {
  return (
    <section>
      <h2>Workers</h2>
      {!workers.some((worker) => worker.isAlive) && (
        <Fault title="No worker is running, so nothing is compressed.">
          Start one with <code>halftone work</code>, or <code>halftone serve</code> without{' '}
          <code>--compressions 0</code>.
        </Fault>
      )}
      {workers.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="Workers">
          <table>
            <thead>
              <tr>
                <th scope="col">Machine</th>
                <th scope="col">Process</th>
                <th scope="col">State</th>
                <th scope="col">Last heartbeat</th>
                <th scope="col">Jobs</th>
                <th scope="col">Started</th>
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <tr key={worker.id} data-alive={worker.isAlive}>
                  <td>
                    <code>{worker.hostname}</code>
                  </td>
                  <td>{worker.pid}</td>
                  <td>{worker.isAlive ? 'Alive' : 'Dead: its jobs are given to others'}</td>
                  <td title={dateTime(worker.lastHeartbeatAt)}>{since(worker.lastHeartbeatAt)}</td>
                  <td>{count(worker.running)}</td>
                  <td>
                    <time dateTime={worker.startedAt}>{dateTime(worker.startedAt)}</time>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function UnavailableHosts({ hosts }: { hosts: System['hosts'] }) {
  return (
    <section>
      <h2>Hosts that images are waiting for</h2>
      {hosts.length === 0 ? (
        <Empty title="No host is paused or down" />
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label="Hosts that images are waiting for">
          <table>
            <thead>
              <tr>
                <th scope="col">Host</th>
                <th scope="col">State</th>
                <th scope="col">Tried again</th>
              </tr>
            </thead>
            <tbody>
              {hosts.map((host) => (
                <tr key={host.host}>
                  <td>
                    <code>{host.host}</code>
                  </td>
                  <td>{host.status === 'DOWN' ? 'Does not answer' : 'Asked for a pause'}</td>
                  <td>{host.pausedUntil ? since(host.pausedUntil) : '–'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
