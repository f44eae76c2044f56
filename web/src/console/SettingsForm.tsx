/** The settings: three choices that a person understands, or every one of them. */

import { bytes } from './format';
import { type Choice, EXAMPLE_BYTES, KINDS, type Kind, PRESETS } from './settings';

const FORMATS = [
  ['', 'Same as the source'],
  ['AUTO', 'The smallest for each image'],
  ['JPEG', 'JPEG'],
  ['WEBP', 'WebP'],
  ['AVIF', 'AVIF (slow)'],
  ['PNG', 'PNG'],
] as const;

interface Props {
  choice: Choice;
  onChange: (choice: Choice) => void;
}

export function SettingsForm({ choice, onChange }: Props) {
  const set = (change: Partial<Choice>) => onChange({ ...choice, ...change });
  const preset = PRESETS.find((each) => each.kind === choice.kind && each.value === choice.value);
  return (
    <>
      <fieldset>
        <legend>How small?</legend>
        <div className="presets">
          {PRESETS.map((each) => (
            <label key={each.title}>
              <input
                type="radio"
                name="preset"
                checked={each === preset}
                onChange={() => set({ kind: each.kind, value: each.value })}
              />
              <strong>{each.title}</strong>
              <small>{each.about}</small>
              <img src={each.example.picture} alt="" width="400" height="160" loading="lazy" />
              <small>
                A photo of {bytes(EXAMPLE_BYTES)} becomes {bytes(each.example.byteSize)}; a detail, at twice
                its size.
              </small>
            </label>
          ))}
        </div>
        <details className="custom" open={!preset || undefined}>
          <summary>Custom</summary>
          <Target choice={choice} onChange={onChange} />
        </details>
      </fieldset>
      <fieldset>
        <legend>Output</legend>
        <div className="fields">
          <label>
            Format
            <select
              value={choice.format}
              onChange={(event) => set({ format: event.target.value as Choice['format'] })}
            >
              {FORMATS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          </label>
          <label>
            Maximum width in pixels
            <input
              type="number"
              min={1}
              placeholder="any"
              value={choice.maxWidth}
              onChange={(event) => set({ maxWidth: event.target.value })}
            />
          </label>
          <label>
            Maximum height in pixels
            <input
              type="number"
              min={1}
              placeholder="any"
              value={choice.maxHeight}
              onChange={(event) => set({ maxHeight: event.target.value })}
            />
          </label>
        </div>
        <Check checked={choice.keepCopyright} onChange={(keepCopyright) => set({ keepCopyright })}>
          Keep creator and copyright
        </Check>
        <Check checked={choice.progressive} onChange={(progressive) => set({ progressive })}>
          Progressive JPEGs where they are smaller
        </Check>
      </fieldset>
      <details className="more-settings">
        <summary>Label, webhook, bad rows</summary>
        <div className="fields">
          <label>
            Label
            <input
              type="text"
              placeholder="your own name for it"
              value={choice.label}
              onChange={(event) => set({ label: event.target.value })}
            />
          </label>
          <label>
            Webhook, called when the request has ended
            <input
              type="url"
              placeholder="https://"
              value={choice.webhookUrl}
              onChange={(event) => set({ webhookUrl: event.target.value })}
            />
          </label>
        </div>
        <Check checked={choice.rejectInvalid} onChange={(rejectInvalid) => set({ rejectInvalid })}>
          Refuse the whole file if one row is bad
        </Check>
      </details>
    </>
  );
}

function Target({ choice, onChange }: Props) {
  const kind = KINDS[choice.kind];
  return (
    <div className="fields">
      <label>
        Target
        <select
          value={choice.kind}
          onChange={(event) => {
            const next = event.target.value as Kind;
            onChange({ ...choice, kind: next, value: KINDS[next].initial * KINDS[next].scale });
          }}
        >
          {Object.entries(KINDS).map(([name, { label }]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {choice.kind !== 'lossless' && (
        <label>
          {kind.label} ({kind.unit})
          <input
            type="number"
            required
            min={kind.min}
            max={kind.max}
            step={kind.step}
            value={Math.round(choice.value / kind.scale) || ''}
            onChange={(event) => onChange({ ...choice, value: Number(event.target.value) * kind.scale })}
          />
        </label>
      )}
    </div>
  );
}

function Check({
  checked,
  onChange,
  children,
}: {
  checked: boolean;
  onChange: (on: boolean) => void;
  children: string;
}) {
  return (
    <label className="check">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} />
      {children}
    </label>
  );
}
