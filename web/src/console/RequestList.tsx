/** Requests in a list, each with how far it is. */

import type { SummaryFragment } from '../gql/graphql';
import { bytes, dateTime, percent, since } from './format';
import { Link } from './router';
import { Bar, Status, images } from './ui';

export function RequestList({ requests }: { requests: SummaryFragment[] }) {
  return (
    <ul className="requests">
      {requests.map((request) => (
        <li key={request.id}>
          <Link href={`/requests/${request.id}`}>
            <span className="title">
              <strong>{request.filename ?? 'CSV'}</strong>
              {request.label && <span className="label">{request.label}</span>}
            </span>
            <Status status={request.status} />
            <Bar request={request} />
            <span className="quiet">
              {images(request.progress.total)}
              {request.progress.failed > 0 && `, ${request.progress.failed} failed`}
            </span>
            <span className="saved">{saved(request)}</span>
            <time className="quiet" dateTime={request.createdAt} title={dateTime(request.createdAt)}>
              {since(request.createdAt)}
            </time>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function saved({ savings }: SummaryFragment) {
  if (savings.inputBytes === 0) return '';
  return `${bytes(savings.inputBytes - savings.outputBytes)} saved (${percent(savings.savedRatio)})`;
}
