import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkRoute } from '../errors/option-checks.js';
import { type ContractOptions, message, type MessageContract } from './message-contract.js';
import { isStandardSchema, type StandardSchema } from './standard-schema.js';

declare const REPLY: unique symbol;
declare const ANSWER: unique symbol;

/**
 * A route that is asked: with the types of the request, as a message contract has them, and of its reply. `Reply` is what
 * the responder returns, `Answer` what the requester gets.
 */
export interface RequestContract<
  Body = unknown,
  Payload = Body,
  Reply = unknown,
  Answer = Reply,
> extends MessageContract<Body, Payload> {
  /** Checks what the responder returns, and again before the requester gets it, as what the schema makes of it. */
  readonly reply?: StandardSchema<Reply, Answer>;
  /** For the compiler; there is nothing at run time. */
  readonly [REPLY]?: Reply;
  readonly [ANSWER]?: Answer;
}

/** What the requester gets: a contract's answer, or anything. */
export type AnswerOf<R> = R extends { readonly [ANSWER]?: infer Answer } ? Answer : unknown;

/**
 * Names a request: its route, and the schemas (any with the Standard Schema interface) or types of what is asked and
 * answered; `serializer` writes and reads both. @throws InvalidOptionError
 */
export function request<Body, Payload, Reply, Answer>(
  route: string,
  requestSchema: StandardSchema<Body, Payload>,
  replySchema: StandardSchema<Reply, Answer>,
  options?: ContractOptions,
): RequestContract<Body, Payload, Reply, Answer>;
export function request<Body, Reply>(route: string, options?: ContractOptions): RequestContract<Body, Body, Reply>;
export function request(
  route: string,
  given?: StandardSchema | ContractOptions,
  reply?: StandardSchema,
  options?: ContractOptions,
): RequestContract {
  checkRoute('route', route);
  if (/(^|\.)[*#](\.|$)/.test(route)) throw new InvalidOptionError('route', route, 'one route, without wildcards');
  if (reply !== undefined && !isStandardSchema(reply))
    throw new InvalidOptionError('reply', reply, 'a schema with the Standard Schema interface («~standard»)');
  const asked =
    given === undefined
      ? message(route)
      : reply
        ? message(route, given as StandardSchema, options)
        : message(route, given as ContractOptions);
  return Object.freeze({ ...asked, ...(reply && { reply }) });
}
