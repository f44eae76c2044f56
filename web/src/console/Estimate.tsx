/** What a CSV would come to, by a sample of its images, before it is uploaded. */

import { useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';
import { type CsvColumnsInput, EstimateDocument, type EstimateSubscription } from '../gql/graphql';
import { sentence } from './api';
import { bytes, count, duration, percent } from './format';
import { type Choice, compression } from './settings';
import { Fault, Figure, images } from './ui';

type Figures = EstimateSubscription['estimate'];

interface State {
  isRunning: boolean;
  figures?: Figures;
  failure?: string;
  /** The settings it was made with. */
  settings?: string;
}

export interface Estimating extends State {
  /** Whether it was made with other settings than those that are chosen now. */
  isOld: boolean;
  begin: () => void;
  stop: () => void;
}

export function useEstimate(file: File, choice: Choice, columns?: CsvColumnsInput): Estimating {
  const client = useClient();
  const [state, setState] = useState<State>({ isRunning: false });
  const running = useRef<() => void>(undefined);
  const input = { ...compression(choice), columns };
  const settings = JSON.stringify(input);

  function end() {
    running.current?.();
    running.current = undefined;
  }
  useEffect(() => end, []);

  function begin() {
    end();
    setState({ isRunning: true, settings });
    const { unsubscribe } = client
      .subscription(EstimateDocument, { input: { file, ...input } })
      .subscribe(({ data, error, hasNext }) => {
        const isDone = data?.estimate.isFinal ?? false;
        const isOver = isDone || error !== undefined || !hasNext;
        const failure = error ? sentence(error) : 'The connection was lost before the estimate was complete.';
        setState((before) => ({
          ...before,
          isRunning: !isOver,
          figures: data?.estimate ?? before.figures,
          failure: isOver && !isDone ? failure : undefined,
        }));
      });
    running.current = unsubscribe;
  }

  function stop() {
    end();
    setState((before) => (before.figures ? { ...before, isRunning: false } : { isRunning: false }));
  }

  const isOld = state.settings !== undefined && state.settings !== settings;
  return { ...state, isOld, begin, stop };
}

export function Estimate({ figures, failure, isRunning, isOld, begin, stop }: Estimating) {
  return (
    <section className="card" aria-label="Estimate">
      <div className="heading">
        <h2>Estimate</h2>
        {isRunning && (
          <button type="button" onClick={stop}>
            Stop
          </button>
        )}
      </div>
      {failure && <Fault title={failure} retry={begin} />}
      {isOld && (
        <p className="quiet">
          The settings or columns have changed since then. Estimate again to see their effect.
        </p>
      )}
      <Sample figures={figures} isRunning={isRunning} />
      {figures && figures.sampled > 0 && <Result {...figures} />}
    </section>
  );
}

/** How much was tried. */
function Sample({ figures, isRunning }: Pick<Estimating, 'figures' | 'isRunning'>) {
  if (!figures) return isRunning ? <p className="quiet">Choosing images to try…</p> : null;
  const { sampled, sampleSize } = figures;
  const all = `${images(figures.images)} of this file`;
  return (
    <>
      {isRunning && (
        <div
          className="bar"
          role="progressbar"
          aria-label="Images tried"
          aria-valuenow={sampled}
          aria-valuemin={0}
          aria-valuemax={sampleSize}
        >
          <span data-part="done" style={{ flexGrow: sampled / sampleSize }} />
        </div>
      )}
      <p className="quiet" role={isRunning ? undefined : 'status'}>
        {isRunning
          ? `${count(sampled)} of ${images(sampleSize)} tried. Nothing is stored.`
          : sampled === figures.images
            ? `The ${all} were all tried. Nothing was stored.`
            : `Based on ${count(sampled)} of the ${all}. Nothing was stored.`}
      </p>
    </>
  );
}

function Result(figures: Figures) {
  const { failing, failureGroups, savedRatio, seconds } = figures;
  return (
    <>
      <dl className="figures">
        <Figure label="Now" note={between(bytes, figures.inputBytesLow, figures.inputBytesHigh)}>
          {bytes(figures.inputBytes)}
        </Figure>
        <Figure label="Afterwards" note={between(bytes, figures.outputBytesLow, figures.outputBytesHigh)}>
          {bytes(figures.outputBytes)}
        </Figure>
        <Figure label="Saved" note={between(percent, figures.savedRatioLow, figures.savedRatioHigh)}>
          {savedRatio == null ? '–' : percent(savedRatio)}
        </Figure>
        <Figure label="Time" note="with no other work">
          {seconds == null ? '–' : `about ${duration(Math.max(1, seconds))}`}
        </Figure>
        <Figure label="Would fail" note={`of ${images(figures.images)}`}>
          {failing > 0 ? `about ${count(failing)}` : 'none'}
        </Figure>
      </dl>
      {failureGroups.length > 0 && (
        <ul className="broken">
          {failureGroups.map(({ code, host, count: failed, message, exampleUrl }) => (
            <li key={`${code} ${host}`}>
              <b>{count(failed)}</b>
              <div>
                <strong>{host}</strong>
                <p>{message}</p>
                <small className="quiet">
                  {failed > 1 && 'For example '}
                  <span className="url">{exampleUrl}</span>
                </small>
              </div>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** The interval, if there is one. */
function between(format: (value: number) => string, low?: number | null, high?: number | null) {
  if (low == null || high == null || format(low) === format(high)) return undefined;
  return `${format(low)} to ${format(high)}`;
}
