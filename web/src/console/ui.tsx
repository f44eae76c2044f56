/** What several pages are made of. */

import type { ReactNode } from 'react';
import type { ImageStatus, ProcessingRequestStatus, SummaryFragment } from '../gql/graphql';
import { count, many } from './format';

const REQUEST_STATUS: Record<ProcessingRequestStatus, string> = {
  PENDING: 'Waiting to start',
  PROCESSING: 'In progress',
  COMPLETED: 'Completed',
  COMPLETED_WITH_ERRORS: 'Completed with errors',
  FAILED: 'Failed',
  CANCELED: 'Canceled',
};

export const IMAGE_STATUS: Record<ImageStatus, string> = {
  PENDING: 'Waiting',
  PROCESSING: 'In progress',
  RETRYING: 'To be tried again',
  SUCCEEDED: 'Done',
  FAILED: 'Failed',
  CANCELED: 'Canceled',
};

export const isFinal = (status: ProcessingRequestStatus) => status !== 'PENDING' && status !== 'PROCESSING';

export function Status({ status }: { status: ProcessingRequestStatus }) {
  return (
    <span className="status" data-status={status}>
      <Mark kind={status} />
      {REQUEST_STATUS[status]}
    </span>
  );
}

/** A shape for each state, so that none is told apart by colour alone. */
export function Mark({ kind }: { kind: ProcessingRequestStatus | ImageStatus | 'KEPT' }) {
  const shapes: Record<string, ReactNode> = {
    done: <path d="m3.5 8.5 3 3 6-7" />,
    partly: <path d="M8 3.5v5.5M8 12v.5" />,
    failed: <path d="m4 4 8 8m0-8-8 8" />,
    canceled: <path d="M3.5 8h9" />,
    running: <path d="M8 3a5 5 0 1 1-5 5" />,
    again: <path d="M12.5 8A4.5 4.5 0 1 1 11 4.6M11.5 2v3h-3" />,
    waiting: <circle cx="8" cy="8" r="1.2" />,
    kept: <path d="M4 6h8M4 10h8" />,
  };
  const shape = {
    PENDING: 'waiting',
    PROCESSING: 'running',
    RETRYING: 'again',
    SUCCEEDED: 'done',
    KEPT: 'kept',
    COMPLETED: 'done',
    COMPLETED_WITH_ERRORS: 'partly',
    FAILED: 'failed',
    CANCELED: 'canceled',
  }[kind];
  return (
    <svg className="mark" data-shape={shape} viewBox="0 0 16 16" aria-hidden="true">
      {shapes[shape]}
    </svg>
  );
}

interface Part {
  kind: string;
  label: string;
  value: number;
}

/** The images of a request by what became of them; they add up to its total. */
export function parts({ progress, savings }: Pick<SummaryFragment, 'progress' | 'savings'>): Part[] {
  const before = savings.reused + savings.unchanged;
  return [
    { kind: 'done', label: 'compressed', value: progress.succeeded - savings.keptOriginal - before },
    { kind: 'before', label: 'compressed before', value: before },
    { kind: 'kept', label: 'kept as they were', value: savings.keptOriginal },
    { kind: 'failed', label: 'failed', value: progress.failed },
    { kind: 'canceled', label: 'canceled', value: progress.canceled },
    { kind: 'running', label: 'in progress', value: progress.processing },
    { kind: 'again', label: 'to be tried again', value: progress.retrying },
    { kind: 'waiting', label: 'waiting', value: progress.pending },
  ];
}

export function Bar({
  request,
  legend = false,
}: {
  request: Pick<SummaryFragment, 'progress' | 'savings'>;
  legend?: boolean;
}) {
  const { total, percent } = request.progress;
  const shown = parts(request).filter((part) => part.value > 0);
  const text = shown.map((part) => `${count(part.value)} ${part.label}`).join(', ');
  return (
    <div className="progress">
      <div
        className="bar"
        role="progressbar"
        aria-valuenow={Math.floor(percent)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuetext={`${Math.floor(percent)} %: ${text}`}
        aria-label="Progress"
      >
        {shown.map((part) => (
          <span key={part.kind} data-part={part.kind} style={{ flexGrow: part.value / Math.max(total, 1) }} />
        ))}
      </div>
      {legend && (
        <ul className="legend">
          {shown.map((part) => (
            <li key={part.kind}>
              <span className="swatch" data-part={part.kind} aria-hidden="true" />
              <b>{count(part.value)}</b> {part.label}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** `retry`: does again what failed. */
export function Fault({
  title,
  children,
  retry,
}: {
  title: string;
  children?: ReactNode;
  retry?: () => void;
}) {
  return (
    <div className="notice" data-kind="error" role="alert">
      <strong>{title}</strong>
      {children && <div>{children}</div>}
      {retry && (
        <div className="actions">
          <button type="button" onClick={retry}>
            Try again
          </button>
        </div>
      )}
    </div>
  );
}

/** `page`: this is all that the page has, so its title is the page's. */
export function Empty({
  title,
  page = false,
  children,
}: {
  title: string;
  page?: boolean;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      {page ? <h1>{title}</h1> : <strong>{title}</strong>}
      {children && <p>{children}</p>}
    </div>
  );
}

/** Holds the place of what is loading, so that nothing jumps. */
export function Skeleton({ rows = 3, height = 48 }: { rows?: number; height?: number }) {
  return (
    <div className="skeleton" role="status">
      <span className="hidden">Loading…</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} style={{ height }} />
      ))}
    </div>
  );
}

export function Figure({ label, children, note }: { label: string; children: ReactNode; note?: ReactNode }) {
  return (
    <div className="figure">
      <dt>{label}</dt>
      <dd>
        {children}
        {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

export const images = (value: number) => many(value, 'image');
export const products = (value: number) => many(value, 'product');
