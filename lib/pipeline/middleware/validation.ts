import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { InvalidPayloadError } from '../../errors/handling-errors.js';
import { issuesText } from '../../message/schema-issues.js';
import { isStandardSchema, schemaResult, type StandardSchema } from '../../message/standard-schema.js';
import type { Middleware } from '../middleware.js';
import { Outcome } from '../outcome.js';

/**
 * Checks the payload against a schema (any with the Standard Schema interface) and replaces it by what the schema makes of
 * it. One that does not fit goes to the dead letters as `invalid`, without a handler call; the error says where, and leaves
 * out what the payload holds there.
 * @throws InvalidOptionError
 */
export function validation(schema: StandardSchema): Middleware {
  if (!isStandardSchema(schema))
    throw new InvalidOptionError('validation', schema, 'a schema with the Standard Schema interface («~standard»)');
  const { validate } = schema['~standard'];
  return async (context, next) => {
    const result = schemaResult(await validate(context.payload));
    if (result.issues)
      return Outcome.deadLetter('invalid', new InvalidPayloadError(issuesText(result.issues, context.payload)));
    context.payload = result.value;
    return next();
  };
}
