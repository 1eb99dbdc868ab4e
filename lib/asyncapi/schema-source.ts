import { isObject, type Json, unpointed } from './json.js';

/** The document that a schema stands in, for what it refers to. */
export type SchemaSource = Json;

/** A schema without references at its top; undefined for one that leads nowhere. */
export function resolved(source: SchemaSource, schema: unknown): unknown {
  let found = schema;
  for (let hops = 0; isObject(found) && typeof found.$ref === 'string'; hops++) {
    if (hops > 50 || !found.$ref.startsWith('#')) return undefined;
    found = at(source, found.$ref.slice(1));
  }
  return found;
}

function at(source: unknown, pointer: string): unknown {
  const names = pointer.split('/').slice(1);
  return names.reduce((value: unknown, name) => {
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)[unpointed(name)]
      : undefined;
  }, source);
}
