/** What this server accepts. */

import { useQuery } from 'urql';
import { SystemDocument } from '../../gql/graphql';
import { sentence } from '../api';
import { bytes, count, duration } from '../format';
import { Fault, Skeleton } from '../ui';

export function System() {
  const [{ data, error }, again] = useQuery({ query: SystemDocument });
  if (!data) {
    if (!error) return <Skeleton rows={4} height={120} />;
    return (
      <Fault
        title={sentence(error)}
        action={
          <button type="button" onClick={() => again({ requestPolicy: 'network-only' })}>
            Try again
          </button>
        }
      />
    );
  }
  const { csv, download, image, graphql } = data.limits;
  const groups: [string, [string, string][]][] = [
    [
      'A CSV',
      [
        ['File', bytes(csv.maxBytes)],
        ['Images', count(csv.maxImages)],
        ['Images in a row', count(csv.maxImagesPerProduct)],
        ['Cell', bytes(csv.maxCellBytes)],
        ['URL', bytes(csv.maxUrlBytes)],
        ['Product name', `${count(csv.maxNameCharacters)} characters`],
      ],
    ],
    [
      'A download',
      [
        ['File', bytes(download.maxBytes)],
        ['To connect', duration(download.connectTimeout)],
        ['To the first byte', duration(download.firstByteTimeout)],
        ['In all', duration(download.totalTimeout)],
        ['Slowest', `${bytes(download.minBytesPerSecond)} a second`],
        ['Redirects', count(download.maxRedirects)],
        ['At once from one host', count(download.maxPerHost)],
        ['Attempts', count(download.maxAttempts)],
      ],
    ],
    [
      'An image',
      [
        ['Pixels, over all frames', count(image.maxPixels)],
        ['Longest side', `${count(image.maxSide)} pixels`],
      ],
    ],
    [
      'A GraphQL request',
      [
        ['Body', bytes(graphql.maxBodyBytes)],
        ['Depth', count(graphql.maxDepth)],
        ['Complexity', count(graphql.maxComplexity)],
        ['Items of a page', count(graphql.maxPage)],
      ],
    ],
  ];
  return (
    <>
      <h1>System</h1>
      <h2>Limits</h2>
      <div className="columns">
        {groups.map(([title, rows]) => (
          <section key={title} className="card">
            <h3>{title}</h3>
            <dl className="facts">
              {rows.map(([term, value]) => (
                <div key={term}>
                  <dt>{term}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p className="quiet">
        <a href="/schema.graphql">The schema</a> ·{' '}
        <a href="/licenses">Licences of what these pages are made of</a>
      </p>
    </>
  );
}
