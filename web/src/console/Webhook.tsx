/** What became of the webhook: every attempt. */

import { useEffect } from 'react';
import { useMutation } from 'urql';
import { RedeliverDocument, type RequestQuery, type WebhookDeliveryStatus } from '../gql/graphql';
import { sentence } from './api';
import { count, dateTime, since } from './format';
import { Empty, Fault } from './ui';

type Details = NonNullable<RequestQuery['processingRequest']>;

const STATUS: Record<WebhookDeliveryStatus, string> = {
  PENDING: 'About to be sent',
  RETRYING: 'Not yet delivered; it will be tried again',
  DELIVERED: 'Delivered',
  REFUSED: 'The receiver wants no more webhooks (410)',
  EXHAUSTED: 'Given up: every attempt failed',
};

const RELOAD_MS = 5_000;

export function Webhook({ details, reload }: { details: Details; reload: () => void }) {
  const delivery = details.webhookDelivery;
  const [{ data, error, fetching }, redeliver] = useMutation(RedeliverDocument);
  const refusal = error ? sentence(error) : data?.redeliverWebhook.userErrors[0]?.message;
  const open = delivery?.status === 'PENDING' || delivery?.status === 'RETRYING';
  // No subscription tells of deliveries.
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(reload, RELOAD_MS);
    return () => clearInterval(timer);
  }, [open, reload]);

  if (!details.webhookUrl) return <Empty title="No webhook was requested" />;
  return (
    <div className="webhook">
      <p>
        <span className="url">{details.webhookUrl}</span>
      </p>
      <p>
        <strong>{delivery ? STATUS[delivery.status] : 'It will be sent when the request has ended.'}</strong>
        {delivery?.nextAttemptAt && open && (
          <span className="quiet"> Next attempt {since(delivery.nextAttemptAt)}.</span>
        )}
      </p>
      {refusal && <Fault title={refusal} />}
      {delivery && delivery.status !== 'PENDING' && (
        <p className="actions">
          <button
            type="button"
            disabled={fetching}
            onClick={() => void redeliver({ id: delivery.id }).then(reload)}
          >
            {delivery.status === 'RETRYING' ? 'Send it now' : 'Send it again'}
          </button>
        </p>
      )}
      {delivery && delivery.attempts.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="Attempts">
          <table>
            <thead>
              <tr>
                <th scope="col">Attempt</th>
                <th scope="col">When</th>
                <th scope="col">Took</th>
                <th scope="col">Answer</th>
              </tr>
            </thead>
            <tbody>
              {delivery.attempts.map((attempt) => (
                <tr key={attempt.number}>
                  <td>{count(attempt.number)}</td>
                  <td>{dateTime(attempt.startedAt)}</td>
                  <td>{count(attempt.durationMs)} ms</td>
                  <td>{attempt.error ?? attempt.httpStatus}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
