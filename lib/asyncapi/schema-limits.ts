import { isDeepStrictEqual } from 'node:util';
import type { Json } from './json.js';
import type { SchemaFinding } from './schema-finding.js';

/** Limits from below, and from above: a reader's may not be narrower. */
const LEAST = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];
const MOST = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];

const breaks = (path: string, text: string): SchemaFinding => ({ verdict: 'breaks', path, text });

/** What a reader of this type and with these limits refuses of what is written. */
export function limitsBroken(from: Json, to: Json, path: string): readonly SchemaFinding[] {
  const found: SchemaFinding[] = [];
  const types = to.type === undefined ? undefined : ([to.type].flat() as string[]);
  if (types && !types.some((type) => type === from.type || (type === 'number' && from.type === 'integer')))
    return [
      breaks(path, `${(from.type as string | undefined) ?? 'anything'} is written, and ${types.join(' or ')} is read`),
    ];
  if ('const' in to || Array.isArray(to.enum)) found.push(breaks(path, 'any value is written, and only some are read'));
  for (const key of LEAST)
    if (isNarrower(from, to, key, (mine, theirs) => mine >= theirs)) found.push(limit(from, to, key, path));
  for (const key of MOST)
    if (isNarrower(from, to, key, (mine, theirs) => mine <= theirs)) found.push(limit(from, to, key, path));
  for (const key of ['pattern', 'format'])
    if (to[key] !== undefined && from[key] !== to[key]) found.push(limit(from, to, key, path));
  if (to.uniqueItems === true && from.uniqueItems !== true) found.push(limit(from, to, 'uniqueItems', path));
  if (
    typeof to.multipleOf === 'number' &&
    (typeof from.multipleOf !== 'number' || from.multipleOf % to.multipleOf !== 0) &&
    !(to.multipleOf === 1 && from.type === 'integer')
  )
    found.push(limit(from, to, 'multipleOf', path));
  return found;
}

function isNarrower(from: Json, to: Json, key: string, fits: (mine: number, theirs: number) => boolean): boolean {
  const theirs = to[key];
  if (typeof theirs !== 'number') return false;
  // An exclusive limit of the writer keeps the inclusive one of the reader as well.
  const mine =
    from[key] ?? (key.endsWith('imum') ? from[`exclusive${key[0].toUpperCase()}${key.slice(1)}`] : undefined);
  if (mine === undefined && theirs === 0 && key.startsWith('min') && key !== 'minimum') return false;
  return typeof mine !== 'number' || !fits(mine, theirs);
}

function limit(from: Json, to: Json, key: string, path: string): SchemaFinding {
  return breaks(
    path,
    `«${key}» is ${JSON.stringify(from[key]) ?? 'none'} where it is written, ${JSON.stringify(to[key])} where it is read`,
  );
}

/** One value: what is about its kind can be tried. Objects and lists among constants are compared as they are. */
export function checkValue(value: unknown, to: Json, path: string): readonly SchemaFinding[] {
  const shown = JSON.stringify(value);
  if ('const' in to && !isDeepStrictEqual(to.const, value))
    return [breaks(path, `${shown} is written, and ${JSON.stringify(to.const)} is read`)];
  if (Array.isArray(to.enum) && !to.enum.some((one) => isDeepStrictEqual(one, value)))
    return [breaks(path, `${shown} is written, and not among what is read`)];
  if ('const' in to || Array.isArray(to.enum)) return [];
  const type = typeOf(value);
  const { minimum, maximum, pattern, format, ...rest } = to;
  const length = typeof value === 'string' ? [...value].length : undefined;
  const exact: Json = {
    type,
    ...(typeof value === 'number' && {
      minimum: value,
      maximum: value,
      exclusiveMinimum: value > Number(to.exclusiveMinimum ?? -Infinity) ? to.exclusiveMinimum : undefined,
      exclusiveMaximum: value < Number(to.exclusiveMaximum ?? Infinity) ? to.exclusiveMaximum : undefined,
    }),
    ...(length !== undefined && { minLength: length, maxLength: length }),
  };
  const found = [...limitsBroken(exact, { ...rest, minimum, maximum }, path)];
  const fits = type === 'string' && typeof pattern === 'string' ? fitsPattern(value as string, pattern) : true;
  if (fits === false) found.push(breaks(path, `${shown} is written, and does not fit ${pattern as string}`));
  const isDeep =
    type === 'object' ||
    type === 'array' ||
    (type === 'string' && format !== undefined) ||
    to.multipleOf !== undefined ||
    fits === undefined;
  if (isDeep && found.length === 0)
    found.push({ verdict: 'unknown', path, text: `whether ${shown} is read: this cannot be judged` });
  return found;
}

/** Undefined: it is no pattern that can be tried. */
function fitsPattern(value: string, pattern: string): boolean | undefined {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return undefined;
  }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}
