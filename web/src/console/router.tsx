/** Pages by address, without a reload between them. */

import { type ComponentPropsWithoutRef, type MouseEvent, useSyncExternalStore } from 'react';
import { at, ownPath } from '../base';

const listeners = new Set<() => void>();

function subscribe(listener: () => void) {
  listeners.add(listener);
  addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    removeEventListener('popstate', listener);
  };
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, ownPath);
}

/** A part of the query string, kept in the address so that it survives a reload and can be shared. */
export function useParameter(name: string): [string, (value: string) => void] {
  const value = useSyncExternalStore(subscribe, () => new URLSearchParams(location.search).get(name) ?? '');
  return [
    value,
    (next) => {
      const url = new URL(location.href);
      if (next) url.searchParams.set(name, next);
      else url.searchParams.delete(name);
      history.replaceState(history.state, '', url);
      for (const listener of listeners) listener();
    },
  ];
}

export function navigate(to: string) {
  history.pushState(null, '', at(to));
  for (const listener of listeners) listener();
  scrollTo(0, 0);
  // Where a screen reader goes on reading.
  requestAnimationFrame(() => document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true }));
}

export function Link({ href, ...rest }: ComponentPropsWithoutRef<'a'> & { href: string }) {
  function onClick(event: MouseEvent<HTMLAnchorElement>) {
    rest.onClick?.(event);
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
  }
  return <a {...rest} href={at(href)} onClick={onClick} />;
}
