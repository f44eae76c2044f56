/** One image: before and after, what was decided, and where it stands. */

import { useEffect } from 'react';
import { useQuery } from 'urql';
import { ImageDocument, type ImageQuery } from '../../gql/graphql';
import { here, sentence } from '../api';
import { choose } from '../file';
import { Compare } from '../Compare';
import { ReplaceUrl } from '../ReplaceUrl';
import { bytes, count, dateTime, fileName, number, percent, since } from '../format';
import { Link, navigate } from '../router';
import { Empty, Fault, IMAGE_STATUS, Mark, Skeleton, isFinal } from '../ui';

type Image = NonNullable<ImageQuery['image']>;

const RELOAD_MS = 2_000;

export function Image({ id }: { id: string }) {
  const [{ data, error, fetching }, again] = useQuery({ query: ImageDocument, variables: { id } });
  const image = data?.image;
  const open = image && ['PENDING', 'PROCESSING', 'RETRYING'].includes(image.status);
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(() => again({ requestPolicy: 'network-only' }), RELOAD_MS);
    return () => clearInterval(timer);
  }, [open, again]);
  useEffect(() => {
    if (!image) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') navigate(`/requests/${image.request.id}`);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [image]);

  if (!image) {
    if (fetching) return <Skeleton rows={2} height={240} />;
    if (error) {
      return <Fault title={sentence(error)} retry={() => again({ requestPolicy: 'network-only' })} />;
    }
    return (
      <Empty page title="There is no image at this address">
        <Link href="/requests">All requests</Link>
      </Empty>
    );
  }
  const kept = image.outcome === 'KEPT_ORIGINAL';
  return (
    <>
      <p className="crumbs">
        <Link href={`/requests/${image.request.id}`}>{image.request.filename ?? 'The request'}</Link>
      </p>
      <div className="heading">
        <h1>{fileName(image.inputUrl)}</h1>
        <span className="status" data-status={image.status}>
          <Mark kind={kept ? 'KEPT' : image.status} />
          {kept ? 'Kept as it was' : IMAGE_STATUS[image.status]}
        </span>
      </div>
      {image.error && image.status !== 'FAILED' && (
        <div className="notice" data-kind="wait" role="status">
          <strong>{image.error.message}</strong>
          <p>
            This image is waiting
            {image.nextAttemptAt && ` and will be tried again ${since(image.nextAttemptAt)}`}.
          </p>
        </div>
      )}
      {image.error && image.status === 'FAILED' && (
        <Fault title={image.error.message}>
          {image.error.retryable
            ? 'Trying again later, with nothing changed, may help.'
            : 'Trying again with nothing changed will not help.'}
        </Fault>
      )}
      {['FAILED', 'CANCELED'].includes(image.status) && isFinal(image.request.status) && (
        <ReplaceUrl
          key={image.inputUrl}
          imageId={image.id}
          inputUrl={image.inputUrl}
          onReplaced={() => again({ requestPolicy: 'network-only' })}
        />
      )}
      {image.output?.url && (
        <Compare
          before={image.sourceUrl ? here(image.sourceUrl) : undefined}
          after={here(image.output.url)}
          width={image.output.width}
          height={image.output.height}
          name={fileName(image.inputUrl)}
        />
      )}
      {image.output && !image.output.url && (
        <div className="notice" data-kind="wait" role="status">
          <p>
            <strong>
              The compressed image was removed
              {image.output.expiresAt && ` on ${dateTime(image.output.expiresAt)}`}.
            </strong>{' '}
            Links to it no longer work. <Link href={`/requests/${image.request.id}`}>Its request</Link> can
            compress it again.
          </p>
        </div>
      )}
      <Facts image={image} />
      <Higher image={image} />
    </>
  );
}

function scoreInWords(score: number): string {
  if (score >= 90) return 'visually lossless';
  if (score >= 70) return 'high';
  return score >= 50 ? 'medium' : 'low';
}

/** How much is added to the quality of an image that is not good enough, and up to what. */
const HIGHER = 20;
const HIGHEST = 95;

/** For an image that is not good enough: the same one at a higher quality, as a request of its own. */
function Higher({ image }: { image: Image }) {
  const quality = image.receipt?.quality;
  const product = image.products.edges[0]?.node;
  if (quality == null || quality >= HIGHEST || !product || !image.output?.url) return null;
  const higher = Math.min(HIGHEST, Math.round(quality) + HIGHER);
  const format = image.output.format === image.source?.format ? '' : image.output.format;
  function compressHigher() {
    const cell = (text: string) => `"${text.replaceAll('"', '""')}"`;
    const row = [String(product!.rowNumber), product!.name, image.inputUrl].map(cell).join(',');
    const file = new File(
      [`S. No,Product Name,Input Image Urls\n${row}\n`],
      `${fileName(image.inputUrl)}.csv`,
      { type: 'text/csv' },
    );
    choose(file, { kind: 'quality', value: higher, format });
  }
  return (
    <p className="actions">
      <span>Not good enough?</span>
      <button type="button" onClick={compressHigher}>
        Compress this one at quality {count(higher)}
      </button>
      <small className="quiet">As a separate request; this image stays as it is.</small>
    </p>
  );
}

function Facts({ image }: { image: Image }) {
  const { source, output, receipt } = image;
  const rows: [string, React.ReactNode][] = [];
  if (source) {
    rows.push([
      'Before',
      `${bytes(source.byteSize)} · ${source.format} · ${count(source.width)} × ${count(source.height)}`,
    ]);
  }
  if (output) {
    rows.push([
      'After',
      `${bytes(output.byteSize)} · ${output.format} · ${count(output.width)} × ${count(output.height)}`,
    ]);
  }
  if (source && output) {
    const saved = source.byteSize - output.byteSize;
    rows.push(['Saved', `${bytes(saved)} (${percent(saved / source.byteSize)})`]);
  }
  if (receipt) {
    rows.push(['Decision', receipt.decision]);
    if (receipt.quality != null) rows.push(['Quality', count(receipt.quality)]);
    if (receipt.score != null)
      rows.push(['Score', `${number(receipt.score)}, ${scoreInWords(receipt.score)}`]);
    if (!receipt.targetMet) rows.push(['Target', 'Missed; this is the best that could be done.']);
    rows.push(['Files tried', count(receipt.encodesTried)]);
  }
  for (const warning of image.warnings) rows.push(['Warning', warning]);
  rows.push([
    'Source',
    <a href={image.inputUrl} rel="noreferrer" target="_blank" className="url">
      {image.inputUrl}
    </a>,
  ]);
  rows.push(['Attempts', count(image.attemptCount)]);
  if (image.nextAttemptAt) rows.push(['Next attempt', dateTime(image.nextAttemptAt)]);
  if (image.finishedAt) rows.push(['Ended', dateTime(image.finishedAt)]);
  if (output?.url && output.expiresAt) rows.push(['Kept until', dateTime(output.expiresAt)]);
  const rowsOfSheet = image.products.edges.map(({ node }) => `${node.name} (row ${count(node.rowNumber)})`);
  rows.push(['In the sheet', rowsOfSheet.join(', ') + (image.products.pageInfo.hasNextPage ? ', …' : '')]);
  return (
    <dl className="facts">
      {rows.map(([term, value], index) => (
        <div key={`${term} ${index}`}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
