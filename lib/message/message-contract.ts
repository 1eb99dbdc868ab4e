import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkPattern, checkRoute } from '../errors/option-checks.js';
import { isStandardSchema, type StandardSchema } from './standard-schema.js';

declare const BODY: unique symbol;
declare const PAYLOAD: unique symbol;

/**
 * A route with the types of what travels on it: `Body` is what is published, `Payload` what a handler gets. It is accepted
 * wherever a route is.
 */
export interface MessageContract<Body = unknown, Payload = Body> {
  readonly route: string;
  /** Checks what is published, and again before the handler of a subscription, which gets what the schema makes of it. */
  readonly schema?: StandardSchema<Body, Payload>;
  /** For the compiler; there is nothing at run time. */
  readonly [BODY]?: Body;
  readonly [PAYLOAD]?: Payload;
}

/** A route without a contract. */
export type UntypedRoute =
  string | { readonly route: string; readonly schema?: StandardSchema; readonly [PAYLOAD]?: never };

/** What may be published on a route: a contract's body, or anything. */
export type BodyOf<R> = R extends MessageContract<infer Body, unknown> ? Body : unknown;

/**
 * Names a message: its route (or pattern), its type and, if given, its schema (any with the Standard Schema interface).
 * @throws InvalidOptionError
 */
export function message<Body, Payload>(
  route: string,
  schema: StandardSchema<Body, Payload>,
): MessageContract<Body, Payload>;
export function message<Body>(route: string): MessageContract<Body>;
export function message(route: string, schema?: StandardSchema): MessageContract {
  checkPattern('route', checkRoute('route', route));
  if (schema !== undefined && !isStandardSchema(schema))
    throw new InvalidOptionError('schema', schema, 'a schema with the Standard Schema interface («~standard»)');
  return Object.freeze({ route, ...(schema && { schema }) });
}
