/** The API key that this tab shows. It is kept until the tab is closed, and sent to this server only. */

const NAME = 'halftone:key';

export const givenKey = (): string => sessionStorage.getItem(NAME) ?? '';

/** Shows this key from now on; an empty one: none. The page begins anew, as nothing of the old caller may be left in it. */
export function showKey(key: string) {
  if (key) sessionStorage.setItem(NAME, key);
  else sessionStorage.removeItem(NAME);
  location.reload();
}

/** As HTTP takes it, and as a WebSocket does in the payload of its `connection_init`. */
export function keyHeaders(): Record<string, string> {
  const key = givenKey();
  return key ? { authorization: `Bearer ${key}` } : {};
}
