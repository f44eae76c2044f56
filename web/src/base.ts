/** Where this server is on its origin: at `/`, or below the path that its public URL has. The server writes it into the page. */

const given = document.querySelector<HTMLMetaElement>('meta[name="base"]')?.content ?? '';

/** With a slash at either end. Without the server, as under Vite, it is the origin's root. */
const BASE = given.startsWith('/') ? given : '/';

/** A path of this server, as browsers have to ask for it. */
export const at = (path: string) => BASE + path.slice(1);

/** The path that the page was opened by, as this server knows it. */
export function ownPath(): string {
  const { pathname } = location;
  return `/${pathname.startsWith(BASE) ? pathname.slice(BASE.length) : ''}`;
}
