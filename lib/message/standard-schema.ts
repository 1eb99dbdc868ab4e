import { invalidResult } from '../errors/result-checks.js';

/** What this package needs of a schema: the interface `~standard` (version 1) that zod, valibot, arktype and others offer. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Whether the value has the interface. */
export function isStandardSchema(schema: unknown): schema is StandardSchema {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false;
  const { '~standard': standard } = schema as { '~standard'?: { validate?: unknown } };
  return typeof standard === 'object' && standard !== null && typeof standard.validate === 'function';
}

/** What a schema said, awaited. @throws InvalidResultError for what is no result: its payload would be lost */
export function schemaResult<Output>(result: SchemaResult<Output>): SchemaResult<Output> {
  if (typeof result === 'object' && result !== null && (result.issues || 'value' in result)) return result;
  throw invalidResult('«~standard.validate» of a schema', result, '{ value } or { issues }');
}
