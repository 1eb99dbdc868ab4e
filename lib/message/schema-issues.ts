import type { SchemaIssue } from './standard-schema.js';

/** Issues that are told. */
const MAX_ISSUES = 5;
/** Values of a payload that are looked for in what a schema says of it. */
const MAX_VALUES = 1_000;
/** A shorter text is left alone where it has no quotes: it would be found in any sentence. */
const MIN_BARE_TEXT = 3;

const HIDDEN = '…';

/**
 * `customer.items[0].price: must be positive; …`, for dead letters and logs, which must not show what a payload holds. Some
 * schemas quote it («received "4111 1111"»): those values are taken out.
 */
export function issuesText(issues: readonly SchemaIssue[], payload: unknown): string {
  const told = issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const keys = path.map(keyOf);
    const text = withoutValues(message, valueAt(payload, keys), payload);
    const where = keys.map(segment).join('').replace(/^\./, '');
    return where === '' ? text : `${where}: ${text}`;
  });
  const more = issues.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function keyOf(part: PropertyKey | { readonly key: PropertyKey }): PropertyKey {
  return typeof part === 'object' ? part.key : part;
}

function segment(key: PropertyKey): string {
  return typeof key === 'number' ? `[${key}]` : `.${String(key)}`;
}

function valueAt(payload: unknown, keys: readonly PropertyKey[]): unknown {
  let value = payload;
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** What stands at the place itself is taken out in every form, what stands elsewhere in quotes only. */
function withoutValues(message: string, here: unknown, payload: unknown): string {
  let text = message;
  for (const value of valuesIn(payload)) {
    if (typeof value === 'string') for (const quoted of quotes(value)) text = text.replaceAll(quoted, HIDDEN);
  }
  for (const value of valuesIn(here)) {
    const bare = String(value);
    if (typeof value === 'string') {
      if (bare.length >= MIN_BARE_TEXT) text = text.replaceAll(bare, HIDDEN);
    } else text = text.replaceAll(new RegExp(`(?<![\\w.])${bare.replace(/[.+]/g, '\\$&')}(?![\\w.])`, 'g'), HIDDEN);
  }
  return text;
}

function quotes(text: string): string[] {
  return text === '' ? [] : [JSON.stringify(text), `"${text}"`, `'${text}'`, `\`${text}\``];
}

/** The texts and numbers in it, up to a limit. */
function valuesIn(root: unknown): (string | number | bigint)[] {
  const found: (string | number | bigint)[] = [];
  const open = [root];
  while (open.length > 0 && found.length < MAX_VALUES) {
    const value = open.pop();
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') found.push(value);
    else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
      for (const inner of Object.values(value)) if (open.push(inner) > MAX_VALUES) break;
  }
  return found;
}
