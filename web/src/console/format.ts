/** Numbers, sizes and times as the browser's locale writes them. */

const integer = new Intl.NumberFormat();
const decimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const percentage = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 0 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

export const count = (value: number) => integer.format(value);
export const number = (value: number) => decimal.format(value);
export const percent = (ratio: number) => percentage.format(ratio);
export const dateTime = (iso: string) => moment.format(new Date(iso));

/** `1 image`, `2 images`. */
export function many(value: number, one: string, several = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : several}`;
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

export function bytes(value: number): string {
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return new Intl.NumberFormat(undefined, {
    style: 'unit',
    unit: UNITS[unit],
    unitDisplay: unit === 0 ? 'long' : 'short',
    maximumFractionDigits: digits,
    minimumFractionDigits: digits,
  }).format(Math.sign(value) * size);
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${count(whole)} s`;
  if (whole < 3600) return `${count(Math.floor(whole / 60))} min ${count(whole % 60)} s`;
  return `${count(Math.floor(whole / 3600))} h ${count(Math.floor((whole % 3600) / 60))} min`;
}

export function since(iso: string, now = Date.now()): string {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  const [size, unit] =
    Math.abs(seconds) < 60
      ? ([1, 'second'] as const)
      : Math.abs(seconds) < 3600
        ? ([60, 'minute'] as const)
        : Math.abs(seconds) < 86_400
          ? ([3600, 'hour'] as const)
          : ([86_400, 'day'] as const);
  return ago.format(Math.round(seconds / size), unit);
}

/** A failure's code, for where there is no room for its sentence. */
export function cause(code: string): string {
  if (code === 'HTML_PAGE') return 'web page';
  if (code === 'CONNECT_FAILURE') return 'no connection';
  return code
    .replace(/^HTTP_/, '')
    .toLowerCase()
    .replaceAll('_', ' ')
    .replace(/^(dns|tls)/, (name) => name.toUpperCase());
}

/** The last part of a URL's path, as people name a file. */
export function fileName(url: string): string {
  try {
    const { pathname, hostname } = new URL(url);
    return decodeURIComponent(pathname.split('/').filter(Boolean).pop() ?? hostname);
  } catch {
    return url;
  }
}
