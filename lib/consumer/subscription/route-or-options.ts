import type { Route } from './subscription-options.js';

/** Whether it is a route, a contract with a schema or a list of them, and not options. `{ route }` alone means the same as both. */
export function isRoute(given: object | Route | readonly Route[]): given is Route | readonly Route[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return true;
  return 'schema' in given && Object.keys(given).every((key) => key === 'route' || key === 'schema');
}

/** `{ ...contract, prefetch: 20 }`: its schema belongs to its route. */
export function contractOf<R extends object>(request: R): R {
  const { schema, route, ...options } = request as { readonly schema?: unknown; readonly route?: unknown };
  return schema === undefined || typeof route !== 'string'
    ? request
    : ({ ...options, route: { route, schema } } as unknown as R);
}
