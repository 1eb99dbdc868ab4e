import { InvalidOptionError } from '../errors/configuration-errors.js';
import { placed } from '../errors/error-place.js';
import { errorMessage } from '../errors/redact.js';
import type { StandardSchema } from '../message/standard-schema.js';
import { isObject, type Json } from './json.js';
import { mapSchemas, placesOfAnything } from './json-schema.js';

/** Standard JSON Schema, which zod 4, arktype and valibot's converter have. */
interface JsonSchemaConverter {
  input(options: { readonly target: string; readonly libraryOptions?: Json }): unknown;
}

/** The one that AsyncAPI's own schemas are made of. */
const TARGET = 'draft-07';
/** How each library is told to write down anything for what JSON Schema has no word for. */
const LENIENT = { unrepresentable: 'any', errorMode: 'ignore', fallback: ({ base }: { base: unknown }) => base };
/** What arktype would leave out in silence. */
const UNSAID = new Set(['date', 'domain', 'proto', 'unit', 'symbolKey']);
const STRICT = {
  fallback({ code, base }: { readonly code: string; readonly base: unknown }): unknown {
    if (UNSAID.has(code)) throw new Error(`a «${code}» cannot be represented in JSON Schema`);
    return base;
  },
};

/**
 * What travels, as JSON Schema: the input of a schema, which its transformations and defaults have not changed yet.
 * Undefined where it has none, and `lenient` is said. @throws InvalidOptionError that names the route and the place
 */
export function payloadSchema(route: string, schema: StandardSchema, lenient: boolean): Json | undefined {
  const standard = schema['~standard'] as { readonly vendor: string; readonly jsonSchema?: JsonSchemaConverter };
  const { jsonSchema: converter, vendor } = standard;
  if (typeof converter?.input !== 'function') {
    if (lenient) return undefined;
    const help = vendor === 'valibot' ? 'toStandardJsonSchema(schema) of @valibot/to-json-schema' : 'zod 4, or arktype';
    throw wrong(route, `(${vendor}) has no Standard JSON Schema`, `one with «~standard.jsonSchema»: ${help}`);
  }
  const convert = (libraryOptions: Json): unknown => converter.input({ target: TARGET, libraryOptions });
  if (lenient) return converted(route, convert(LENIENT));
  try {
    return converted(route, convert(STRICT));
  } catch (error) {
    if (error instanceof InvalidOptionError) throw error;
    const places = placesOfAnything(convert(LENIENT)).map((place) => `«${place || '/'}»`);
    const where = places.length > 0 ? ` at ${places.join(' or ')}` : '';
    throw wrong(
      route,
      `is no JSON Schema${where}: ${errorMessage(error)}`,
      'a schema of what travels as JSON: a date is a text there',
    );
  }
}

function converted(route: string, schema: unknown): Json {
  if (isObject(schema)) return schema;
  throw wrong(route, 'gave no object as its JSON Schema', 'one whose «~standard.jsonSchema.input» gives an object');
}

function wrong(route: string, what: string, remedy: string): InvalidOptionError {
  return placed(
    new InvalidOptionError('onUnrepresentable', 'fail', `'any', or ${remedy}`),
    `The schema of «${route}» ${what}`,
  );
}

/** The schema for a place in a document: what it refers to in itself is there, too. */
export function relocated(schema: Json, pointer: string): Json {
  const { $schema: _, ...rest } = schema;
  return mapSchemas(rest, (one) => {
    const { $ref } = one;
    return typeof $ref === 'string' && $ref.startsWith('#') ? { ...one, $ref: pointer + $ref.slice(1) } : one;
  }) as Json;
}
