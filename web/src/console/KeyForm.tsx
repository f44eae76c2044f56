/** Asks for an API key, once the server has refused to go on without. */

import { useId, useState, useSyncExternalStore } from 'react';
import { givenKey, showKey } from '../key';

let refusal: string | undefined;
const listeners = new Set<() => void>();

/** The server answered that the key is missing or no longer good. */
export function noteRefusal(message: string) {
  refusal = message;
  for (const listener of listeners) listener();
}

/** Why the server wants a key; undefined while it does not. */
export function useRefusal(): string | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => refusal,
  );
}

export function KeyForm({ refusal }: { refusal: string }) {
  const [key, setKey] = useState('');
  const id = useId();
  return (
    <form
      className="key"
      onSubmit={(event) => {
        event.preventDefault();
        showKey(key.trim());
      }}
    >
      <h1>API key</h1>
      <p id={`${id}-refusal`} role="alert">
        {givenKey() ? refusal : 'This server requires an API key. Ask the people who run it for one.'}
      </p>
      <label htmlFor={id}>API key</label>
      <input
        id={id}
        type="password"
        required
        autoComplete="off"
        value={key}
        aria-describedby={`${id}-refusal ${id}-note`}
        onChange={(event) => setKey(event.target.value)}
      />
      <p id={`${id}-note`}>The key is kept in this tab until you close it.</p>
      <button type="submit" className="primary">
        Use this key
      </button>
    </form>
  );
}

/** Lets go of the key that is shown. */
export function ForgetKey() {
  return (
    <button type="button" onClick={() => showKey('')}>
      Forget the API key
    </button>
  );
}
