/** Where one begins: a place for the file, and the newest requests as they go on. */

import { useState } from 'react';
import { useQuery } from 'urql';
import { RequestsDocument, RequestsUpdatedDocument, type SummaryFragment } from '../../gql/graphql';
import { sentence } from '../api';
import { DropZone } from '../DropZone';
import { useWatch } from '../live';
import { RequestList } from '../RequestList';
import { Link } from '../router';
import { Empty, Fault, Skeleton } from '../ui';

const SHOWN = 10;

export function Home() {
  const [{ data, error, fetching }, again] = useQuery({
    query: RequestsDocument,
    variables: { first: SHOWN },
  });
  const [live, setLive] = useState<ReadonlyMap<string, SummaryFragment>>(new Map());
  useWatch('home', {
    document: RequestsUpdatedDocument,
    variables: () => ({}),
    onData: ({ requestsUpdated }) =>
      setLive((known) => new Map(known).set(requestsUpdated.id, requestsUpdated)),
  });

  const loaded = data?.processingRequests.edges.map((edge) => edge.node) ?? [];
  const merged = new Map<string, SummaryFragment>();
  for (const request of [...live.values(), ...loaded]) {
    const known = merged.get(request.id);
    if (!known || known.progress.revision <= request.progress.revision) merged.set(request.id, request);
  }
  // Ids are in the order of their creation.
  const newest = [...merged.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, SHOWN);

  return (
    <>
      <h1>Compress the images of a catalogue</h1>
      <DropZone />
      <section>
        <div className="heading">
          <h2>Newest requests</h2>
          {newest.length > 0 && <Link href="/requests">All requests</Link>}
        </div>
        {newest.length > 0 ? (
          <RequestList requests={newest} />
        ) : error ? (
          <Fault title={sentence(error)} retry={() => again({ requestPolicy: 'network-only' })} />
        ) : fetching ? (
          <Skeleton rows={3} height={64} />
        ) : (
          <Empty title="Nothing has been uploaded yet">
            Drop a CSV above. To try it with a sample catalogue, start <code>halftone demo</code>.
          </Empty>
        )}
      </section>
    </>
  );
}
