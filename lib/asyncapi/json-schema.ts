import { isObject, type Json } from './json.js';

/** Keywords whose value is one schema, a list of schemas, or schemas by name. */
const ONE = [
  'items',
  'additionalItems',
  'additionalProperties',
  'propertyNames',
  'contains',
  'not',
  'if',
  'then',
  'else',
  'unevaluatedItems',
  'unevaluatedProperties',
];
const LIST = ['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items'];
const NAMED = ['properties', 'patternProperties', 'definitions', '$defs', 'dependencies', 'dependentSchemas'];

/** The schema, with `change` made of it and of every schema in it, from the outside in; what stands in `const`, `enum` and the like is left alone. */
export function mapSchemas(schema: unknown, change: (schema: Json, path: string) => Json, path = ''): unknown {
  if (!isObject(schema)) return schema;
  const changed: Record<string, unknown> = { ...change(schema, path) };
  for (const key of Object.keys(changed)) {
    const value = changed[key];
    const at = (name: string | number): string => `${path}/${key === 'properties' ? name : `${key}/${name}`}`;
    if (NAMED.includes(key) && isObject(value))
      changed[key] = Object.fromEntries(
        Object.entries(value).map(([name, one]) => [name, mapSchemas(one, change, at(name))]),
      );
    else if (LIST.includes(key) && Array.isArray(value))
      changed[key] = value.map((one, index) => mapSchemas(one, change, at(index)));
    else if (ONE.includes(key)) changed[key] = mapSchemas(value, change, `${path}/${key}`);
  }
  return changed;
}

/** Where anything goes: what could not be said stands there as well. */
export function placesOfAnything(schema: unknown): string[] {
  const found: string[] = [];
  mapSchemas(schema, (one, path) => {
    if (Object.keys(one).length === 0) found.push(path);
    return one;
  });
  return found;
}

/** Keywords that are for people. */
export const NOTES = [
  'title',
  'description',
  'examples',
  'default',
  'deprecated',
  '$schema',
  '$comment',
  '$id',
  'definitions',
  '$defs',
  'readOnly',
  'writeOnly',
];

/** What says nothing of the values. */
export function withoutNotes(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !NOTES.includes(key) && !key.startsWith('x-')));
}
