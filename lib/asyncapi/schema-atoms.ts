import { isObject, type Json } from './json.js';
import { merged } from './schema-merge.js';

/** A schema of one type without alternatives, or one value. */
export type Atom = { readonly schema: Json } | { readonly schema: Json; readonly value: unknown };

/** What a writer's schema allows, as alternatives; each is to be read. */
export function atomsOf(schema: Json, resolve: (schema: unknown) => unknown): readonly Atom[] {
  for (const key of ['anyOf', 'oneOf'] as const) {
    const { [key]: branches, ...rest } = schema;
    if (Array.isArray(branches))
      return branches.flatMap((branch) => {
        const one = resolve(branch);
        if (!isObject(one)) return [{ schema: rest }];
        // What both say of the same is no alternative of one by the other.
        const whole = merged({ allOf: [rest, one] }, resolve);
        return whole ? atomsOf(whole, resolve) : [{ schema: { allOf: [rest, one] } }];
      });
  }
  if ('const' in schema) return [{ schema, value: schema.const }];
  if (Array.isArray(schema.enum))
    return schema.enum.map((value: unknown) => ({ schema: { ...schema, enum: undefined, const: value }, value }));
  if (Array.isArray(schema.type)) return schema.type.map((type: unknown) => ({ schema: { ...schema, type } }));
  return [{ schema }];
}
