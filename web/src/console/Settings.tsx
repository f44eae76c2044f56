/** The settings in force, in words. */

import type { RequestQuery } from '../gql/graphql';
import { bytes, number, percent } from './format';

type Settings = NonNullable<RequestQuery['processingRequest']>['settings'];

function target(settings: Settings): string {
  if (settings.lossless) return 'Lossless: identical pixels';
  if (settings.targetRatio != null)
    return `The best quality within ${percent(settings.targetRatio)} of the source’s bytes`;
  if (settings.maxBytes != null) return `The best quality within ${bytes(settings.maxBytes)}`;
  if (settings.minScore != null) return `The smallest file that scores ${number(settings.minScore)} or more`;
  if (settings.relativeQuality != null)
    return `${percent(settings.relativeQuality)} of the source’s own quality`;
  return `Encoder quality ${number(settings.quality ?? 50)}`;
}

export function Settings({ settings }: { settings: Settings }) {
  const size = [
    settings.maxWidth && `${number(settings.maxWidth)} pixels wide`,
    settings.maxHeight && `${number(settings.maxHeight)} pixels high`,
  ].filter(Boolean);
  const rows: [string, string][] = [
    ['Target', target(settings)],
    ['Format', settings.format ?? 'Same as the source'],
    ['Size', size.length > 0 ? `At most ${size.join(' and ')}` : 'Same as the source'],
    ['Background', `${settings.background}, where transparency is lost`],
    ['Creator and copyright', settings.keepCopyright ? 'Kept' : 'Dropped with all other metadata'],
    ['Progressive JPEGs', settings.progressive ? 'Where they are smaller' : 'No'],
  ];
  return (
    <dl className="facts">
      {rows.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
