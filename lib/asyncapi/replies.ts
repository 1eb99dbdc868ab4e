import type { BatchDefinition } from '../consumer/subscription/batch-definition.js';
import type { SubscriptionDefinition } from '../consumer/subscription/subscription-definition.js';
import type { SubscribeBatchRequest, SubscribeRequest } from '../consumer/subscription/subscription-options.js';
import { requestHeader } from '../message/headers.js';
import type { Serializer } from '../message/serializer.js';
import type { StandardSchema } from '../message/standard-schema.js';
import type { Messaging } from '../messaging.js';
import type { Transport } from '../transport/transport.js';
import { type Json, pointerTo } from './json.js';
import { factsOf, protocolOf } from './message-facts.js';
import type { MessageRegistry } from './message-registry.js';

/** How requests of some routes are answered. */
export interface Answers {
  readonly routes: readonly string[];
  readonly schema?: StandardSchema;
  readonly serializer?: Serializer;
}

const TEXT: Json = { type: 'string' };
const ERROR: Json = {
  type: 'object',
  description: 'What the handler threw: its code and message, and what a ReplyError says beside them.',
  properties: { code: TEXT, message: TEXT, retryable: { type: 'boolean' }, details: {} },
  required: ['code', 'message', 'retryable'],
};
const ERROR_HEADERS: Json = {
  type: 'object',
  properties: { [requestHeader.error]: { const: 1, description: 'The reply is an error.' } },
  required: [requestHeader.error],
};

/** Undefined: whoever subscribes so does not answer, or only where its handler happens to return something. */
export function answersOf(
  request: SubscribeRequest | SubscribeBatchRequest,
  { routes, answers, serializer }: SubscriptionDefinition | BatchDefinition,
): Answers | undefined {
  const schema = 'answers' in request && typeof request.answers === 'object' ? request.answers.schema : undefined;
  const isAnswered = answers?.when === 'always' || (answers?.when === 'value' && schema !== undefined);
  return isAnswered ? { routes, schema, serializer } : undefined;
}

/** The keys of what comes back: the answer and, where errors are messages of their own, an error. */
export function replyMessages(
  registry: MessageRegistry,
  messaging: Messaging,
  { routes, schema, serializer }: Answers,
): readonly string[] {
  const facts = factsOf(messaging, serializer);
  const { replies } = serializer ?? messaging.described.serializer;
  const name = `${routes.join(',')}.reply`;
  if (!replies)
    return [
      registry.add(name, schema, facts),
      registry.add('error.reply', ERROR, { ...facts, headers: { allOf: [facts.headers, ERROR_HEADERS] } }),
    ];
  const { describe: _, ...others } = facts;
  const describe = replies.describe && ((route: string, value: Json) => replies.describe!(route, value, ERROR));
  return [registry.add(name, schema, { ...others, ...(describe && { describe }) })];
}

/** The channel of replies: where it is, each request says. */
export function replyChannel(routes: string, { description }: Pick<Transport, 'description'>): Json {
  const { replyTo } = description ?? {};
  return {
    address: null,
    title: `Replies to ${routes}`,
    ...(replyTo && { description: `Each request says where, in its ${replyTo.in} «${replyTo.name}»` }),
    'x-nestjs-messaging-reply': { routes: routes.split(',') },
  };
}

/** AsyncAPI has a place for addresses in headers only. */
export function replyOf(channel: string, messages: readonly string[], transport: Transport): Json {
  const { replyTo } = protocolOf(transport);
  return {
    ...(replyTo?.in === 'header' && { address: { location: `$message.header#/${replyTo.name}` } }),
    channel: { $ref: pointerTo('channels', channel) },
    messages: [...messages].sort().map((key) => ({ $ref: pointerTo('channels', channel, 'messages', key) })),
  };
}
