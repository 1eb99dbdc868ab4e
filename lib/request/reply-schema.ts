import { InvalidPayloadError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import { issuesText } from '../message/schema-issues.js';
import { schemaResult, type SchemaResult, type StandardSchema } from '../message/standard-schema.js';
import type { Middleware } from '../pipeline/middleware.js';
import { Outcome } from '../pipeline/outcome.js';
import { wholeResultOf } from '../pipeline/result.js';

/** What the schema makes of a reply. @throws InvalidPayloadError that names the path (as a rejection) */
export async function checkedReply(route: string, schema: StandardSchema, reply: unknown): Promise<unknown> {
  let result: SchemaResult<unknown>;
  try {
    result = await schema['~standard'].validate(reply);
  } catch (cause) {
    throw new InvalidPayloadError(`The schema of replies to «${route}» failed: ${errorMessage(cause)}`, { cause });
  }
  const { issues, value } = schemaResult(result) as { issues?: never; value: unknown };
  if (issues)
    throw new InvalidPayloadError(`The reply to «${route}» does not fit its schema: ${issuesText(issues, reply)}`);
  return value;
}

/** Around a handler whose result has to fit the schema, where it is an answer. It stays as the handler gave it. */
export function replyCheck(schema: StandardSchema): Middleware {
  return async (context, next) => {
    const result = await wholeResultOf(next());
    if (context.replyTo !== undefined && !Outcome.is(result)) await checkedReply(context.route, schema, result);
    return result;
  };
}
