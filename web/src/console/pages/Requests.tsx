/** All requests, a page at a time, by status, label and name, with what they add up to. */

import { useEffect, useState } from 'react';
import { useClient } from 'urql';
import {
  type ProcessingRequestFilter,
  type ProcessingRequestStatus,
  RequestsDocument,
  type SummaryFragment,
  TotalsDocument,
  type TotalsQuery,
} from '../../gql/graphql';
import { sentence } from '../api';
import { bytes, count, percent } from '../format';
import { RequestList } from '../RequestList';
import { useParameter } from '../router';
import { Empty, Fault, Figure, Skeleton } from '../ui';

const PAGE = 50;
const TYPING_MS = 250;

const STATUSES: Record<string, { label: string; status?: ProcessingRequestStatus[] }> = {
  '': { label: 'All' },
  running: { label: 'In progress', status: ['PENDING', 'PROCESSING'] },
  errors: { label: 'With errors', status: ['COMPLETED_WITH_ERRORS', 'FAILED'] },
  completed: { label: 'Completed', status: ['COMPLETED'] },
  canceled: { label: 'Canceled', status: ['CANCELED'] },
};

interface Page {
  requests: SummaryFragment[];
  next?: string | null;
  totals: TotalsQuery;
}

export function Requests() {
  const client = useClient();
  const [status, setStatus] = useParameter('status');
  const [label, setLabel] = useParameter('label');
  const [search, setSearch] = useParameter('search');
  const [page, setPage] = useState<Page>();
  const [failure, setFailure] = useState<string>();
  const [loading, setLoading] = useState(false);
  const isFiltered = Boolean(status || label || search);

  /** `isWanted` says whether the answer is still that to the filter in force. */
  async function load(isWanted: () => boolean, after?: string | null) {
    setLoading(true);
    const anyStatus: ProcessingRequestFilter = { label: label || undefined, search: search || undefined };
    const filter = { ...anyStatus, status: STATUSES[status]?.status };
    const context = { requestPolicy: 'network-only' } as const;
    const [list, totals] = await Promise.all([
      client.query(RequestsDocument, { first: PAGE, after, filter }, context),
      client.query(TotalsDocument, { filter, anyStatus }, context),
    ]);
    if (!isWanted()) return;
    setLoading(false);
    const error = list.error ?? totals.error;
    setFailure(error && sentence(error));
    if (!list.data || !totals.data) return;
    const { edges, pageInfo } = list.data.processingRequests;
    const requests = edges.map((edge) => edge.node);
    const read = totals.data;
    setPage((before) => ({
      requests: after ? [...(before?.requests ?? []), ...requests] : requests,
      next: pageInfo.hasNextPage ? pageInfo.endCursor : null,
      totals: read,
    }));
  }

  useEffect(() => {
    let isWanted = true;
    const timer = setTimeout(() => void load(() => isWanted), search ? TYPING_MS : 0);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [status, label, search]);

  function showAll() {
    setStatus('');
    setLabel('');
    setSearch('');
  }

  const labels = page?.totals.everything.byLabel ?? [];
  return (
    <>
      <h1>Requests</h1>
      <div className="filters">
        <div className="segments" role="group" aria-label="Status">
          {Object.entries(STATUSES).map(([key, { label: text, status: statuses }]) => (
            <button key={key} type="button" aria-pressed={status === key} onClick={() => setStatus(key)}>
              {text}
              {page && <span className="count"> {count(counted(page.totals, statuses))}</span>}
            </button>
          ))}
        </div>
        <label>
          Label
          <select value={label} onChange={(event) => setLabel(event.target.value)}>
            <option value="">Any</option>
            {label && !labels.some((each) => each.label === label) && <option value={label}>{label}</option>}
            {labels.map((each) => (
              <option key={each.label} value={each.label}>
                {each.label} ({count(each.count)})
              </option>
            ))}
          </select>
        </label>
        <label>
          Name
          <input
            type="search"
            value={search}
            placeholder="part of a file name or label"
            onChange={(event) => setSearch(event.target.value)}
          />
        </label>
      </div>
      {failure && <Fault title={failure} retry={() => void load(() => true)} />}
      {!page && !failure && <Skeleton rows={6} height={64} />}
      {page && page.requests.length > 0 && <Totals totals={page.totals.matching} />}
      {page && page.requests.length === 0 && (
        <Empty title={isFiltered ? 'No request matches' : 'Nothing has been uploaded yet'}>
          {isFiltered ? (
            <button type="button" onClick={showAll}>
              Show all
            </button>
          ) : (
            'Drop a CSV anywhere in this window to begin.'
          )}
        </Empty>
      )}
      {page && page.requests.length > 0 && <RequestList requests={page.requests} />}
      {page?.next && (
        <button
          type="button"
          className="more"
          disabled={loading}
          onClick={() => void load(() => true, page.next)}
        >
          {loading ? 'Loading…' : 'Show more'}
        </button>
      )}
    </>
  );
}

function counted({ anyStatus }: TotalsQuery, statuses?: ProcessingRequestStatus[]): number {
  if (!statuses) return anyStatus.requests;
  const of = anyStatus.byStatus.filter((each) => statuses.includes(each.status));
  return of.reduce((sum, each) => sum + each.count, 0);
}

function Totals({ totals }: { totals: TotalsQuery['matching'] }) {
  return (
    <dl className="figures" aria-label="Totals">
      <Figure label="Requests">{count(totals.requests)}</Figure>
      <Figure label="Images">{count(totals.images)}</Figure>
      <Figure label="Compressed">{count(totals.succeeded)}</Figure>
      <Figure label="Failed">{count(totals.failed)}</Figure>
      <Figure
        label="Saved"
        note={totals.inputBytes > 0 && percent(totals.savedByteCount / totals.inputBytes)}
      >
        {bytes(totals.savedByteCount)}
      </Figure>
    </dl>
  );
}
