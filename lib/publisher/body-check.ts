import { InvalidOptionError } from '../errors/configuration-errors.js';
import { InvalidPayloadError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import { issuesText } from '../message/schema-issues.js';
import { isStandardSchema, schemaResult, type SchemaResult, type StandardSchema } from '../message/standard-schema.js';
import { isThenable } from '../pipeline/thenable.js';
import type { RouteLike } from './publish-options.js';

/**
 * Whether a body fits the schema of its contract. It stays as it is: what the schema makes of it is for subscribers, who
 * check again. A promise only where the schema answers with one.
 * @throws InvalidPayloadError (or as a rejection), InvalidOptionError
 */
export function checkBody(route: RouteLike, body: unknown): Promise<void> | undefined {
  if (typeof route !== 'object' || route === null) return undefined;
  const { route: name, schema } = route as { route: string; schema?: StandardSchema };
  if (schema === undefined) return undefined;
  if (!isStandardSchema(schema))
    throw new InvalidOptionError('schema', schema, 'a schema with the Standard Schema interface («~standard»)');
  let result: SchemaResult<unknown> | Promise<SchemaResult<unknown>>;
  try {
    result = schema['~standard'].validate(body);
  } catch (error) {
    throw failed(name, error);
  }
  if (!isThenable(result)) return refuse(name, result, body);
  return Promise.resolve(result).then(
    (late) => refuse(name, late, body),
    (error: unknown) => {
      throw failed(name, error);
    },
  );
}

function refuse(route: string, result: SchemaResult<unknown>, body: unknown): undefined {
  const { issues } = schemaResult(result);
  if (issues)
    throw new InvalidPayloadError(`The body for «${route}» does not fit its schema: ${issuesText(issues, body)}`);
}

function failed(route: string, cause: unknown): InvalidPayloadError {
  return new InvalidPayloadError(`The schema of «${route}» failed: ${errorMessage(cause)}`, { cause });
}
