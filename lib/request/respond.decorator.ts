import { Subscribe, type Untyped } from '../consumer/subscription/subscribe.decorator.js';
import type { SubscriptionOptions } from '../consumer/subscription/subscription-options.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { MessageContract } from '../message/message-contract.js';
import type { RequestContract } from '../message/request-contract.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { AnswerOptions } from './answer-options.js';

/** The options of `@Subscribe`; `dlq` and `retry` are false by default, for whoever asks is told and can ask again. */
export interface RespondOptions extends Omit<SubscriptionOptions, 'answers'>, Pick<AnswerOptions, 'onShutdown'> {}

/** What `@Respond` is: with a contract, for methods that take its request and return its reply. */
export type RespondDecorator<Payload, Reply> = [Payload] extends [Untyped]
  ? MethodDecorator
  : <M extends (payload: Payload, context: MessageContext) => ReplyResult<Reply>>(
      target: object,
      property: string | symbol,
      descriptor: TypedPropertyDescriptor<M>,
    ) => void;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- an Observable, an Outcome: results as handlers have them
type ReplyResult<Reply> = [unknown] extends [Reply] ? any : Reply | Promise<Reply>;

/**
 * Answers the requests of a route with what this method returns, or with what it throws: the requester gets a RemoteError
 * with the code, the message and, of a ReplyError, the details; never a stack. The request is acked once the reply is with
 * the broker, so that a request whose responder dies is handled by another one. It is a subscription as `@Subscribe` makes it, with `dlq: false` and `retry: false`.
 * @throws InvalidOptionError, SubscriptionConflictError for a route or name that cannot be
 */
export function Respond<Payload = Untyped, Reply = unknown>(
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- who asks and what it gets does not matter to who answers
  route: string | RequestContract<any, Payload, Reply, any> | MessageContract<any, Payload>,
  options: RespondOptions = {},
): RespondDecorator<Payload, Reply> {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('options', options, 'an object of subscription options');
  const { onShutdown, ...rest } = options;
  const { reply, ...asked }: Asked = typeof route === 'object' && route !== null ? route : { route };
  const answers = { always: true, ...(reply && { schema: reply }), ...(onShutdown && { onShutdown }) };
  const { schema, serializer } = asked;
  const subscribed = schema ? asked : asked.route;
  const given = { dlq: false, retry: false, ...(serializer && { serializer }), ...rest, answers } as const;
  return Subscribe(subscribed, given) as RespondDecorator<Payload, Reply>;
}

/** A route, with what a contract says of it. */
type Asked = Pick<RequestContract, 'route' | 'schema' | 'serializer' | 'reply'>;
