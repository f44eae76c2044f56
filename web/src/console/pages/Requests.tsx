/** All requests, a page at a time, by status and label. */

import { useEffect, useState } from 'react';
import { useClient } from 'urql';
import { type ProcessingRequestStatus, RequestsDocument, type SummaryFragment } from '../../gql/graphql';
import { sentence } from '../api';
import { RequestList } from '../RequestList';
import { useParameter } from '../router';
import { Empty, Fault, Skeleton } from '../ui';

const PAGE = 50;

const FILTERS: Record<string, { label: string; status?: ProcessingRequestStatus[] }> = {
  '': { label: 'All' },
  running: { label: 'In progress', status: ['PENDING', 'PROCESSING'] },
  errors: { label: 'With errors', status: ['COMPLETED_WITH_ERRORS', 'FAILED'] },
  completed: { label: 'Completed', status: ['COMPLETED'] },
  canceled: { label: 'Canceled', status: ['CANCELED'] },
};

export function Requests() {
  const client = useClient();
  const [filter, setFilter] = useParameter('status');
  const [label, setLabel] = useParameter('label');
  const [pages, setPages] = useState<{ requests: SummaryFragment[]; next?: string | null }>();
  const [failure, setFailure] = useState<string>();
  const [loading, setLoading] = useState(false);

  async function load(after?: string | null) {
    setLoading(true);
    const variables = {
      first: PAGE,
      after,
      filter: { status: FILTERS[filter]?.status, label: label || undefined },
    };
    const { data, error } = await client.query(RequestsDocument, variables, {
      requestPolicy: 'network-only',
    });
    setLoading(false);
    setFailure(error && sentence(error));
    if (!data) return;
    const { edges, pageInfo } = data.processingRequests;
    const requests = edges.map((edge) => edge.node);
    setPages((before) => ({
      requests: after ? [...(before?.requests ?? []), ...requests] : requests,
      next: pageInfo.hasNextPage ? pageInfo.endCursor : null,
    }));
  }

  useEffect(() => {
    const timer = setTimeout(() => void load(), label ? 250 : 0);
    return () => clearTimeout(timer);
  }, [filter, label]);

  return (
    <>
      <h1>Requests</h1>
      <div className="filters">
        <div className="segments" role="group" aria-label="Status">
          {Object.entries(FILTERS).map(([key, { label: text }]) => (
            <button key={key} type="button" aria-pressed={filter === key} onClick={() => setFilter(key)}>
              {text}
            </button>
          ))}
        </div>
        <label>
          Label
          <input
            type="search"
            value={label}
            placeholder="exactly"
            onChange={(event) => setLabel(event.target.value)}
          />
        </label>
      </div>
      {failure && (
        <Fault
          title={failure}
          action={
            <button type="button" onClick={() => void load()}>
              Try again
            </button>
          }
        />
      )}
      {!pages && !failure && <Skeleton rows={6} height={64} />}
      {pages && pages.requests.length === 0 && (
        <Empty title={filter || label ? 'No request matches' : 'Nothing has been uploaded yet'}>
          {filter || label ? (
            <button
              type="button"
              onClick={() => {
                setFilter('');
                setLabel('');
              }}
            >
              Show all
            </button>
          ) : (
            'Drop a CSV anywhere in this window to begin.'
          )}
        </Empty>
      )}
      {pages && pages.requests.length > 0 && <RequestList requests={pages.requests} />}
      {pages?.next && (
        <button type="button" className="more" disabled={loading} onClick={() => void load(pages.next)}>
          {loading ? 'Loading…' : 'Show more'}
        </button>
      )}
    </>
  );
}
