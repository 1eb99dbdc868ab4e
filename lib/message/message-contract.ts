import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkPattern, checkRoute, knownKeys } from '../errors/option-checks.js';
import { checkSerializer, type Serializer } from './serializer.js';
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
  /** Writes what is published by the contract, and reads it for a subscription to it. Default: the connection's. */
  readonly serializer?: Serializer;
  /** For the compiler; there is nothing at run time. */
  readonly [BODY]?: Body;
  readonly [PAYLOAD]?: Payload;
}

/** A route without a contract. */
export type UntypedRoute =
  | string
  | {
      readonly route: string;
      readonly schema?: StandardSchema;
      readonly serializer?: Serializer;
      readonly [PAYLOAD]?: never;
    };

/** What may be published on a route: a contract's body, or anything. */
export type BodyOf<R> = R extends MessageContract<infer Body, unknown> ? Body : unknown;

/** What a contract says beside its route and schema. */
export type ContractOptions = Pick<MessageContract, 'serializer'>;

/**
 * Names a message: its route (or pattern), its type and, if given, its schema (any with the Standard Schema interface).
 * @throws InvalidOptionError
 */
export function message<Body, Payload>(
  route: string,
  schema: StandardSchema<Body, Payload>,
  options?: ContractOptions,
): MessageContract<Body, Payload>;
export function message<Body>(route: string, options?: ContractOptions): MessageContract<Body>;
export function message(
  route: string,
  given?: StandardSchema | ContractOptions,
  options: ContractOptions = {},
): MessageContract {
  checkPattern('route', checkRoute('route', route));
  if (given === undefined || isStandardSchema(given)) return contract(route, given, options);
  if (typeof given === 'object' && given !== null && 'serializer' in given && arguments.length === 2)
    return contract(route, undefined, given);
  throw new InvalidOptionError('schema', given, 'a schema with the Standard Schema interface («~standard»)');
}

function contract(route: string, schema: StandardSchema | undefined, options: ContractOptions): MessageContract {
  knownKeys('message', options, ['serializer']);
  const { serializer } = options;
  if (serializer !== undefined) checkSerializer('serializer', serializer);
  return Object.freeze({ route, ...(schema && { schema }), ...(serializer && { serializer }) });
}
