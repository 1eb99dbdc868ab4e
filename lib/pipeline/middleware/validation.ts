import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { InvalidPayloadError } from '../../errors/handling-errors.js';
import { isStandardSchema, type SchemaIssue, type StandardSchema } from '../../message/standard-schema.js';
import type { Middleware } from '../middleware.js';
import { Outcome } from '../outcome.js';

/** Issues that are written into a dead letter. */
const MAX_ISSUES = 5;

/**
 * Checks the payload against a schema (any with the Standard Schema interface) and replaces it by what the schema makes of
 * it. One that does not fit goes to the dead letters as `invalid`, without a handler call; the error says where.
 * @throws InvalidOptionError
 */
export function validation(schema: StandardSchema): Middleware {
  if (!isStandardSchema(schema))
    throw new InvalidOptionError('validation', schema, 'a schema with the Standard Schema interface («~standard»)');
  const { validate } = schema['~standard'];
  return async (context, next) => {
    const result = await validate(context.payload);
    if (result.issues) return Outcome.deadLetter('invalid', new InvalidPayloadError(describe(result.issues)));
    context.payload = result.value;
    return next();
  };
}

/** `customer.items[0].price: must be positive; …` */
function describe(issues: readonly SchemaIssue[]): string {
  const told = issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const where = path.map(segment).join('').replace(/^\./, '');
    return where === '' ? message : `${where}: ${message}`;
  });
  const more = issues.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function segment(part: PropertyKey | { readonly key: PropertyKey }): string {
  const key = typeof part === 'object' ? part.key : part;
  return typeof key === 'number' ? `[${key}]` : `.${String(key)}`;
}
