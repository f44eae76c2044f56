/** An image, fitted or pixel by pixel; with its source, both under one slider. */

import { type KeyboardEvent, type PointerEvent, useRef, useState } from 'react';

interface Props {
  /** The source as we show it; without it there is only the output. */
  before?: string;
  after: string;
  width: number;
  height: number;
  name: string;
}

export function Compare({ before, after, width, height, name }: Props) {
  const [position, setPosition] = useState(50);
  const [actual, setActual] = useState(false);
  const [flicker, setFlicker] = useState(false);
  const [missing, setMissing] = useState(false);
  const stage = useRef<HTMLDivElement>(null);
  const compared = before !== undefined && !missing;

  function move(event: PointerEvent) {
    if (event.buttons !== 1 || !compared) return;
    const box = stage.current?.getBoundingClientRect();
    if (!box) return;
    event.preventDefault();
    setPosition(Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100)));
  }

  function onKey(event: KeyboardEvent, down: boolean) {
    if (event.key !== ' ' || !compared) return;
    event.preventDefault();
    setFlicker(down);
  }

  return (
    <figure className="compare">
      <div className="compare-tools">
        <div className="segments" role="group" aria-label="Size">
          <button type="button" aria-pressed={!actual} onClick={() => setActual(false)}>
            Fitted
          </button>
          <button type="button" aria-pressed={actual} onClick={() => setActual(true)}>
            1:1
          </button>
        </div>
        {compared && (
          <label className="slider">
            <span>Before</span>
            <input
              type="range"
              min={0}
              max={100}
              step={0.5}
              value={position}
              aria-label="How much of the source is shown"
              onChange={(event) => setPosition(Number(event.target.value))}
              onKeyDown={(event) => onKey(event, true)}
              onKeyUp={(event) => onKey(event, false)}
            />
            <span>After</span>
          </label>
        )}
        {compared && <span className="quiet">Hold space on the slider to see the source alone.</span>}
        {missing && <span className="quiet">The source can no longer be shown.</span>}
      </div>
      <div className="compare-view" data-actual={actual} tabIndex={0} role="region" aria-label={name}>
        <div
          ref={stage}
          className="stage"
          style={
            actual
              ? { width, height }
              : { aspectRatio: `${width} / ${height}`, maxWidth: `min(100%, ${width}px)` }
          }
          onPointerDown={move}
          onPointerMove={move}
        >
          <img src={after} alt={`${name}, compressed`} width={width} height={height} draggable={false} />
          {before !== undefined && !missing && (
            <>
              <img
                className="before"
                src={before}
                alt={`${name}, the source`}
                width={width}
                height={height}
                draggable={false}
                onError={() => setMissing(true)}
                style={{ clipPath: `inset(0 ${flicker ? 0 : 100 - position}% 0 0)` }}
              />
              {!flicker && <span className="divider" style={{ left: `${position}%` }} aria-hidden="true" />}
            </>
          )}
        </div>
      </div>
    </figure>
  );
}
