import { isDeepStrictEqual } from 'node:util';
import { isObject, type Json } from './json.js';
import { NOTES } from './json-schema.js';

/** Keywords of objects whose meaning depends on the other keywords beside them. */
const BESIDE = ['additionalProperties', 'unevaluatedProperties', 'patternProperties', 'if'];

/**
 * A schema and all of its `allOf` as one: the properties of all, each with what all say of it. Undefined: they cannot be
 * made one, for two of them say different things by the same keyword.
 */
export function merged(schema: Json, resolve: (schema: unknown) => unknown): Json | undefined {
  const { allOf, ...rest } = schema;
  if (!Array.isArray(allOf)) return schema;
  let all: Json | undefined = rest;
  for (const part of allOf as unknown[]) {
    const one = resolve(part);
    const flat: Json | undefined = isObject(one) ? merged(one, resolve) : undefined;
    all = all && flat && both(all, flat);
  }
  return all;
}

function both(one: Json, other: Json): Json | undefined {
  const all: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const mine = one[key];
    if (mine === undefined) all[key] = value;
    else if (key === 'required') all[key] = [...new Set([...(mine as string[]), ...(value as string[])])];
    else if (key === 'properties') all[key] = propertiesOfBoth(mine as Json, value as Json);
    else if (!NOTES.includes(key) && !isDeepStrictEqual(mine, value)) return undefined;
  }
  const has = (part: Json, keys: readonly string[]): boolean => keys.some((key) => part[key] !== undefined);
  const isOdd = [one, other].some((part) => has(part, BESIDE));
  const isApart = [one, other].some((part) => !has(part, [...BESIDE, 'properties']));
  return isOdd && !isApart ? undefined : all;
}

function propertiesOfBoth(one: Json, other: Json): Json {
  const shared = (name: string): boolean => Object.hasOwn(one, name) && !isDeepStrictEqual(one[name], other[name]);
  const theirs = Object.entries(other).map(([name, schema]) => [
    name,
    shared(name) ? { allOf: [one[name], schema] } : schema,
  ]);
  return { ...one, ...(Object.fromEntries(theirs) as Json) };
}
