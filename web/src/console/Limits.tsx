/** What this server accepts. */

import { useQuery } from 'urql';
import { LimitsDocument } from '../gql/graphql';
import { sentence } from './api';
import { bytes, count, duration } from './format';
import { Fault, Skeleton } from './ui';

export function Limits() {
  const [{ data, error }] = useQuery({ query: LimitsDocument });
  if (!data) return error ? <Fault title={sentence(error)} /> : <Skeleton rows={2} height={120} />;
  const { csv, download, image, graphql } = data.limits;
  const groups: [string, [string, string][]][] = [
    [
      'A CSV',
      [
        ['File', bytes(csv.maxBytes)],
        ['Images', count(csv.maxImages)],
        ['Images per row', count(csv.maxImagesPerProduct)],
        ['Cell', bytes(csv.maxCellBytes)],
        ['URL', bytes(csv.maxUrlBytes)],
        ['Product name', `${count(csv.maxNameCharacters)} characters`],
      ],
    ],
    [
      'A download',
      [
        ['File', bytes(download.maxBytes)],
        ['Time to connect', duration(download.connectTimeout)],
        ['Time to the first byte', duration(download.firstByteTimeout)],
        ['Total time', duration(download.totalTimeout)],
        ['Minimum speed', `${bytes(download.minBytesPerSecond)} a second`],
        ['Redirects', count(download.maxRedirects)],
        ['At once from one host', count(download.maxPerHost)],
        ['Attempts', count(download.maxAttempts)],
      ],
    ],
    [
      'An image',
      [
        ['Pixels', count(image.maxPixels)],
        ['Longest side', `${count(image.maxSide)} pixels`],
      ],
    ],
    [
      'A GraphQL request',
      [
        ['Body', bytes(graphql.maxBodyBytes)],
        ['Depth', count(graphql.maxDepth)],
        ['Complexity', count(graphql.maxComplexity)],
        ['Items per page', count(graphql.maxPage)],
      ],
    ],
  ];
  return (
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
  );
}
