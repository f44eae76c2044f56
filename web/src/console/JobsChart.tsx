/** Jobs by state over the last quarter of an hour, as far as it was seen here. */

import { useEffect, useReducer } from 'react';
import { count, duration } from './format';

/** Jobs, from the bottom of the chart to its top. */
export interface Jobs {
  running: number;
  ready: number;
  waiting: number;
}

const PARTS: [keyof Jobs, string, string][] = [
  ['running', 'running', 'Running'],
  ['ready', 'ready', 'Ready'],
  ['waiting', 'again', 'Waiting for their next attempt'],
];

const LONGEST = 15 * 60;
/** The chart is as long as what was seen, and never so short that two samples fill it. */
const SHORTEST = 60;
const HEIGHT = 100;

/** Outlives the page that shows it, so that one can look elsewhere and come back. */
let samples: { at: number; jobs: Jobs }[] = [];

/** Notes how things stand each time that they are read anew. */
export function useHistory(jobs: Jobs | undefined, answer: unknown) {
  const [, draw] = useReducer((drawn: number) => drawn + 1, 0);
  useEffect(() => {
    if (!jobs) return;
    const at = Date.now() / 1000;
    samples = [...samples.filter((sample) => sample.at > at - LONGEST), { at, jobs }];
    draw();
  }, [answer]);
}

export function JobsChart() {
  const now = Date.now() / 1000;
  const total = ({ running, ready, waiting }: Jobs) => running + ready + waiting;
  const most = Math.max(1, ...samples.map(({ jobs }) => total(jobs)));
  const seen = samples.length > 0 ? now - samples[0]!.at : 0;
  const span = Math.max(SHORTEST, seen);
  const x = (at: number) => (span - (now - at)).toFixed(1);
  const y = (jobs: number) => (HEIGHT - (HEIGHT * jobs) / most).toFixed(1);
  let below = samples.map(() => 0);
  return (
    <figure className="chart">
      <svg
        viewBox={`0 0 ${span.toFixed(1)} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Jobs over the last ${duration(span)}: at most ${count(most)}`}
      >
        {PARTS.map(([name, part]) => {
          const top = samples.map(({ jobs }, index) => below[index]! + jobs[name]);
          const points = [
            ...samples.map(({ at }, index) => `${x(at)},${y(top[index]!)}`),
            ...samples.map(({ at }, index) => `${x(at)},${y(below[index]!)}`).reverse(),
          ];
          below = top;
          return <polygon key={name} data-fill={part} points={points.join(' ')} />;
        })}
      </svg>
      <figcaption className="quiet">
        <ul className="legend">
          {PARTS.map(([name, part, label]) => (
            <li key={name}>
              <span className="swatch" data-fill={part} aria-hidden="true" />
              {label}
            </li>
          ))}
        </ul>
        <span>
          The last {duration(span)}, at most {count(most)} {most === 1 ? 'job' : 'jobs'}
        </span>
      </figcaption>
    </figure>
  );
}
