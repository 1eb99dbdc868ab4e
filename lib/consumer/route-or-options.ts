import type { Route } from './subscription-options.js';

/** Whether it is a route, a contract or a list of them, and not options that have one. */
export function isRoute(given: object | Route | readonly Route[]): given is Route | readonly Route[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return true;
  const { route, ...more } = given as { readonly route?: unknown };
  return typeof route === 'string' && Object.keys(more).every((key) => key === 'schema');
}
