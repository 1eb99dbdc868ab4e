import { isObject, type Json } from './json.js';

/** A property of a schema, as a table shows it. */
export interface SchemaRow {
  /** `address.city`, `items[].sku`; empty for the payload as a whole. */
  readonly path: string;
  readonly type: string;
  readonly required: boolean;
  /** Limits, constants, defaults, and the description. */
  readonly rules: readonly string[];
}

/** Deeper is not shown: whoever needs that reads the document. */
const MOST_DEPTH = 6;
const RULES = [
  'format',
  'const',
  'enum',
  'default',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'uniqueItems',
];

/** The rows of a schema, properties of properties below theirs. `resolve` gives what a reference means. */
export function schemaRows(schema: unknown, resolve: (reference: string) => unknown): SchemaRow[] {
  const rows: SchemaRow[] = [];
  const add = (given: unknown, path: string, required: boolean, above: readonly unknown[]): void => {
    const known = resolved(given, resolve);
    rows.push({ path, type: typeOf(known), required, rules: rulesOf(known) });
    if (!isObject(known) || above.length >= MOST_DEPTH || above.includes(known)) return;
    const below = [...above, known];
    const needed = Array.isArray(known.required) ? known.required : [];
    const { properties, items, additionalProperties } = known;
    const prefix = path === '' ? '' : `${path}.`;
    if (isObject(properties))
      for (const [name, one] of Object.entries(properties)) add(one, `${prefix}${name}`, needed.includes(name), below);
    if (isObject(items)) add(items, `${path}[]`, false, below);
    if (isObject(additionalProperties)) add(additionalProperties, `${prefix}*`, false, below);
    for (const keyword of ['oneOf', 'anyOf', 'allOf'])
      for (const [at, one] of listOf(known[keyword]).entries()) add(one, `${path}(${keyword} ${at + 1})`, false, below);
  };
  add(schema, '', false, []);
  return rows;
}

function resolved(schema: unknown, resolve: (reference: string) => unknown): unknown {
  if (!isObject(schema) || typeof schema.$ref !== 'string') return schema;
  return resolve(schema.$ref) ?? schema;
}

function typeOf(schema: unknown): string {
  if (!isObject(schema)) return schema === false ? 'nothing' : 'anything';
  if (Array.isArray(schema.type)) return schema.type.join(' or ');
  if (typeof schema.type === 'string') return schema.type;
  const keyword = ['oneOf', 'anyOf', 'allOf'].find((one) => listOf(schema[one]).length > 0);
  if (keyword) return { oneOf: 'one of', anyOf: 'any of', allOf: 'all of' }[keyword]!;
  return 'const' in schema || 'enum' in schema ? 'value' : 'anything';
}

function rulesOf(schema: unknown): string[] {
  if (!isObject(schema)) return [];
  const rules = RULES.filter((name) => schema[name] !== undefined).map((name) => rule(name, schema[name]));
  if (schema.additionalProperties === false) rules.push('nothing else');
  if (schema.deprecated === true) rules.push('deprecated');
  if (typeof schema.description === 'string') rules.push(schema.description);
  return rules;
}

function rule(name: string, value: unknown): string {
  if (name === 'enum' && Array.isArray(value)) return `one of ${value.map((one) => JSON.stringify(one)).join(', ')}`;
  return `${name} ${typeof value === 'string' && name !== 'const' && name !== 'default' ? value : JSON.stringify(value)}`;
}

function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}
