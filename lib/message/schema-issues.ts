import type { SchemaIssue } from './standard-schema.js';

/** Issues that are told: they are written into logs and dead letters. */
const MAX_ISSUES = 5;

/** `customer.items[0].price: must be positive; …` */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  const told = issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const where = path.map(segment).join('').replace(/^\./, '');
    return where === '' ? message : `${where}: ${message}`;
  });
  const more = issues.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function segment(part: PropertyKey | { readonly key: PropertyKey }): string {
  const key = typeof part === 'object' ? part.key : part;
  return typeof key === 'number' ? `[${key}]` : `.${String(key)}`;
}
