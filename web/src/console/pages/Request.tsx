/** One request, as it goes on: is it going well, what is broken, what can be done, where is the result. */

import { type ReactNode, useCallback, useEffect, useState } from 'react';
import { useMutation, useQuery } from 'urql';
import {
  CancelDocument,
  type ChangesFragment,
  DeleteDocument,
  ExistsDocument,
  PauseDocument,
  ResumeDocument,
  type FailuresFragment,
  RequestDocument,
  type RequestQuery,
  RequestUpdatedDocument,
  type SummaryFragment,
} from '../../gql/graphql';
import { sentence } from '../api';
import { Confirm } from '../Confirm';
import { bytes, count, dateTime, duration, many, number, percent } from '../format';
import { Failures } from '../Failures';
import { Hosts, WaitingHosts } from '../Hosts';
import { ImageGrid } from '../ImageGrid';
import { useWatch } from '../live';
import { type Mended, MendedOutcome } from '../MendedRows';
import { Problems } from '../Problems';
import { Results } from '../Results';
import { Link, navigate, useParameter } from '../router';
import { Settings } from '../Settings';
import { Bar, Empty, Fault, Figure, Skeleton, Status, isFinal } from '../ui';
import { Webhook } from '../Webhook';

type Details = NonNullable<RequestQuery['processingRequest']>;
type Live = SummaryFragment & FailuresFragment & ChangesFragment;

const LOOK_MS = 5_000;

/** Whether a request that has ended has been deleted since, here or by somebody else. No subscription tells. */
function useIsDeleted(id: string, ended: boolean): boolean {
  const [{ data, error }, again] = useQuery({ query: ExistsDocument, variables: { id }, pause: !ended });
  useEffect(() => {
    if (!ended) return;
    const look = () => {
      if (!document.hidden) again({ requestPolicy: 'network-only' });
    };
    const timer = setInterval(look, LOOK_MS);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [ended, again]);
  return ended && data !== undefined && !error && data.processingRequest === null;
}

export function Request({ id }: { id: string }) {
  const [{ data, error, fetching }, again] = useQuery({ query: RequestDocument, variables: { id } });
  const [live, setLive] = useState<Live>();
  const details = data?.processingRequest ?? undefined;
  const reload = useCallback(() => again({ requestPolicy: 'network-only' }), [again]);

  // An answer and a snapshot may overtake each other: the later revision is the truth.
  const current: Live | undefined =
    live && live.id === id && (!details || live.progress.revision >= details.progress.revision)
      ? live
      : details;
  const watched = current !== undefined && !isFinal(current.status);
  useWatch(
    id,
    watched
      ? {
          document: RequestUpdatedDocument,
          variables: () => ({ id }),
          onData: ({ requestUpdated }) => {
            setLive(requestUpdated);
            // Nothing is watched after the last snapshot, and its end may go unheard.
            if (isFinal(requestUpdated.status)) reload();
          },
          onEnd: reload,
        }
      : undefined,
  );

  const isDeleted = useIsDeleted(id, current !== undefined && isFinal(current.status));

  if (current && isDeleted) {
    return (
      <Empty page title="This request was deleted">
        Its images and files were removed, and links to them no longer work.{' '}
        <Link href="/requests">All requests</Link>
      </Empty>
    );
  }
  if (!details || !current) {
    if (fetching) return <Skeleton rows={4} height={72} />;
    if (error) {
      return <Fault title={sentence(error)} retry={reload} />;
    }
    return (
      <Empty page title="There is no request at this address">
        <Link href="/requests">All requests</Link>
      </Empty>
    );
  }
  return <Shown key={id} details={details} current={current} reload={reload} />;
}

function Shown({ details, current, reload }: { details: Details; current: Live; reload: () => void }) {
  const ended = isFinal(current.status);
  const [mended, setMended] = useState<Mended>();
  const tabs: [string, string, () => ReactNode][] = [
    [
      '',
      'Images',
      () => (
        <ImageGrid
          key={details.run.number}
          requestId={details.id}
          revision={details.progress.revision}
          isFinal={ended}
        />
      ),
    ],
    ['problems', `Problems (${number(details.csv.issueCount)})`, () => <Problems report={details.csv} />],
    ['hosts', 'Hosts', () => <Hosts requestId={details.id} isFinal={ended} />],
    ['webhook', 'Webhook', () => <Webhook details={details} reload={reload} />],
    ['settings', 'Settings', () => <Settings settings={details.settings} />],
  ];
  const [tab, setTab] = useParameter('tab');
  const shown = tabs.find(([key]) => key === tab) ?? tabs[0]!;
  return (
    <>
      <Heading details={details} current={current} reload={reload} />
      <Overview current={current} />
      {!ended && current.pausedAt && (
        <div className="notice" data-kind="wait" role="status">
          <p>
            <strong>Paused.</strong> No image is started until the request is resumed.
          </p>
        </div>
      )}
      {!ended && <WaitingHosts requestId={details.id} />}
      {ended && current.changes && <Changes {...current.changes} />}
      {mended && <MendedOutcome {...mended} />}
      <Failures
        current={current}
        onRetry={reload}
        onMended={(mended) => {
          setMended(mended);
          reload();
        }}
      />
      {ended && (
        <Results
          requestId={details.id}
          outputsExpireAt={details.outputsExpireAt}
          expiresAt={details.expiresAt}
          failedRows={hasFailedRows(details, current)}
          onRerun={reload}
        />
      )}
      <section>
        <nav className="tabs" aria-label="Parts of the request">
          {tabs.map(([key, title]) => (
            <button
              key={key}
              type="button"
              aria-current={key === shown[0] ? 'page' : undefined}
              onClick={() => setTab(key)}
            >
              {title}
            </button>
          ))}
        </nav>
        {shown[2]()}
      </section>
    </>
  );
}

/** What is otherwise than it was when the images were last downloaded. */
function Changes(changes: NonNullable<Live['changes']>) {
  const parts = [
    [changes.changed, 'changed'],
    [changes.newlyBroken, 'newly broken'],
    [changes.mended, 'no longer broken'],
    [changes.added, 'new'],
    [changes.removed, 'no longer in the file'],
    [changes.unchanged, 'as before'],
  ] as const;
  const shown = parts.filter(([images]) => images > 0);
  if (shown.length === 0) return null;
  return (
    <div className="notice" data-kind={changes.newlyBroken > 0 ? 'failed' : 'done'} role="status">
      <p>
        <strong>Compared with before:</strong>{' '}
        {shown.map(([images, what]) => `${count(images)} ${what}`).join(', ')}.
      </p>
    </div>
  );
}

function hasFailedRows(details: Details, current: Live) {
  return (
    current.progress.failed + current.progress.canceled + details.csv.rejectedRowCount > 0 ||
    details.csv.issueCount > 0
  );
}

function Heading({ details, current, reload }: { details: Details; current: Live; reload: () => void }) {
  const [asking, setAsking] = useState(false);
  const [canceled, cancel] = useMutation(CancelDocument);
  const [paused, pause] = useMutation(PauseDocument);
  const [resumed, resume] = useMutation(ResumeDocument);
  const refusal =
    canceled.data?.cancelProcessingRequest.userErrors[0]?.message ??
    paused.data?.pauseProcessingRequest.userErrors[0]?.message ??
    resumed.data?.resumeProcessingRequest.userErrors[0]?.message;
  const failure = canceled.error ?? paused.error ?? resumed.error;
  const asked = canceled.data !== undefined && !refusal;
  const isPaused = current.pausedAt != null;
  return (
    <>
      <div className="heading">
        <h1>{details.filename ?? 'CSV'}</h1>
        {details.label && <span className="label">{details.label}</span>}
        <Status status={current.status} />
        {!isFinal(current.status) && (
          <button
            type="button"
            disabled={paused.fetching || resumed.fetching || asked}
            onClick={() => void (isPaused ? resume : pause)({ id: details.id }).then(reload)}
          >
            {isPaused ? 'Resume' : 'Pause'}
          </button>
        )}
        {!isFinal(current.status) && (
          <button
            type="button"
            className="danger"
            disabled={canceled.fetching || asked}
            onClick={() => setAsking(true)}
          >
            {asked ? 'Canceling…' : 'Cancel'}
          </button>
        )}
        {isFinal(current.status) && <Delete details={details} />}
      </div>
      {asking && !asked && (
        <Confirm
          title="Cancel this request?"
          action="Cancel the rest"
          onConfirm={() => {
            setAsking(false);
            void cancel({ id: details.id });
          }}
          onClose={() => setAsking(false)}
        >
          Finished images are kept. The others can be tried again later.
        </Confirm>
      )}
      {(failure || refusal) && <Fault title={refusal ?? sentence(failure!)} />}
    </>
  );
}

function Delete({ details }: { details: Details }) {
  const [asking, setAsking] = useState(false);
  const [{ data, error, fetching }, mutate] = useMutation(DeleteDocument);
  const refusal = error ? sentence(error) : data?.deleteProcessingRequest.userErrors[0]?.message;
  return (
    <>
      <button type="button" className="danger" onClick={() => setAsking(true)}>
        Delete
      </button>
      {asking && (
        <Confirm
          title={`Delete ${details.filename ?? 'this request'}?`}
          action="Delete"
          isBusy={fetching}
          onConfirm={() =>
            void mutate({ id: details.id }).then(({ data }) => {
              if (data?.deleteProcessingRequest.deletedId) navigate('/requests');
            })
          }
          onClose={() => setAsking(false)}
        >
          <p>
            Its compressed images and result files are removed, and every link to them stops working at once.
            This cannot be undone.
          </p>
          {refusal && <Fault title={refusal} />}
        </Confirm>
      )}
    </>
  );
}

function Overview({ current }: { current: Live }) {
  const { progress, savings } = current;
  const ended = isFinal(current.status);
  const end = current.finishedAt ? new Date(current.finishedAt).getTime() : Date.now();
  const elapsed = current.startedAt ? (end - new Date(current.startedAt).getTime()) / 1000 : undefined;
  return (
    <section className="overview">
      <dl className="figures">
        <Figure
          label="Saved"
          note={
            savings.inputBytes > 0 &&
            `${percent(savings.savedRatio)} · ${bytes(savings.inputBytes)} became ${bytes(savings.outputBytes)}`
          }
        >
          <span className="large">{bytes(savings.inputBytes - savings.outputBytes)}</span>
        </Figure>
        <Figure label="Done" note={`of ${many(progress.total, 'image')}`}>
          <span className="large">{percent(progress.percent / 100)}</span>
        </Figure>
        {!ended && (
          <Figure label="Rate" note="images a second">
            {progress.imagesPerSecond == null ? '–' : number(progress.imagesPerSecond)}
          </Figure>
        )}
        {!ended && (
          <Figure label="Time left">
            {progress.estimatedSecondsRemaining == null ? '–' : duration(progress.estimatedSecondsRemaining)}
          </Figure>
        )}
        {elapsed !== undefined && <Figure label={ended ? 'Took' : 'Elapsed'}>{duration(elapsed)}</Figure>}
        <Figure label="Uploaded">
          <time dateTime={current.createdAt}>{dateTime(current.createdAt)}</time>
        </Figure>
      </dl>
      <Bar request={current} legend />
      <p className="hidden" role="status">
        {ended ? 'The request has ended.' : `${Math.floor(progress.percent / 10) * 10} % done.`}
      </p>
    </section>
  );
}
