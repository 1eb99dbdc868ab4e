import { isDeepStrictEqual } from 'node:util';
import { InvalidOptionError, SubscriptionConflictError } from '../../errors/configuration-errors.js';
import { knownKeys } from '../../errors/option-checks.js';
import type { Topology } from '../../transport/topology.js';
import type { RabbitmqBinding } from '../../transports/rabbitmq/topology/exchanges.js';
import type { RabbitmqSubscriptionOptions } from '../../transports/rabbitmq/options.js';
import type { CompatSettings } from './config.js';
import type { MessageHandlerOptions, QueueOptions, RabbitMQQueueConfig } from './interfaces.js';

/** What ours would have beside what theirs asks for: left out, so that it is the same queue. */
const NOT_OURS = {
  'x-delivery-limit': undefined,
  'x-dead-letter-exchange': undefined,
  'x-dead-letter-routing-key': undefined,
  'x-dead-letter-strategy': undefined,
  'x-overflow': undefined,
};

const QUEUE_OPTIONS = [
  ...['durable', 'exclusive', 'autoDelete', 'arguments', 'messageTtl', 'expires', 'deadLetterExchange'],
  ...['deadLetterRoutingKey', 'maxLength', 'maxPriority', 'bindQueueArguments', 'channel', 'consumerOptions'],
];

/** How a queue of theirs is asked for in our words. */
export interface CompatQueue {
  readonly native: RabbitmqSubscriptionOptions;
  /** Undefined: one of this process alone. */
  readonly queue: string | undefined;
  readonly adopt: boolean;
  /** The broker itself has a place for what is rejected. */
  readonly hasDeadLetterExchange: boolean;
}

/** @throws InvalidOptionError, SubscriptionConflictError */
export function queueOf(place: string, handler: MessageHandlerOptions, settings: CompatSettings): CompatQueue {
  const { queue, queueOptions = {}, createQueueIfNotExists = true } = handler;
  knownKeys('queueOptions', queueOptions, QUEUE_OPTIONS);
  const known = settings.config.queues?.find(({ name }) => name === queue);
  const described = known && known.createQueueIfNotExists !== false ? (known.options ?? {}) : undefined;
  const bindings = [...bindingsOf(handler, queueOptions.bindQueueArguments), ...(known ? bindingsOfQueue(known) : [])];
  if (queue !== undefined && queue !== '' && !createQueueIfNotExists && !described)
    return { queue, adopt: true, native: { bindings }, hasDeadLetterExchange: false };
  const native = nativeOf(place, described && !createQueueIfNotExists ? described : queueOptions);
  if (described && createQueueIfNotExists && !isDeepStrictEqual(native, nativeOf(place, described)))
    throw new SubscriptionConflictError(
      `${place}: «queueOptions» and «queues» of the module describe «${queue}» otherwise. Give one of them, the handler with «createQueueIfNotExists: false»`,
    );
  const { durable, autoDelete, ...ofProcess } = native;
  const deadLetterExchange = native.arguments?.['x-dead-letter-exchange'];
  return {
    queue: queue === '' ? undefined : queue,
    adopt: false,
    native: { ...(queue ? native : ofProcess), bindings },
    hasDeadLetterExchange: deadLetterExchange !== undefined,
  };
}

/** Queues of the module's config that no handler here consumes. @throws InvalidOptionError */
export function topologiesOf(settings: CompatSettings, consumed: ReadonlySet<string>): Topology[] {
  return (settings.config.queues ?? []).flatMap((queue) => {
    knownKeys('config.queues', queue, [
      ...['name', 'createQueueIfNotExists', 'options', 'exchange', 'routingKey', 'bindQueueArguments', 'consumerTag'],
    ]);
    const { name, createQueueIfNotExists = true, options = {} } = queue;
    if (consumed.has(name)) return [];
    const bindings = bindingsOfQueue(queue);
    const native = createQueueIfNotExists ? nativeOf(`queues: «${name}»`, options) : {};
    const adopt = !createQueueIfNotExists && { adopt: true };
    return [{ queue: name, patterns: [], provision: true, ...adopt, native: { ...native, bindings } }];
  });
}

function bindingsOfQueue({ bindQueueArguments, ...queue }: RabbitMQQueueConfig): RabbitmqBinding[] {
  return bindingsOf(queue, bindQueueArguments);
}

/** Of a handler or queue: each key on its exchange. */
function bindingsOf(
  { exchange, routingKey, bindings = [] }: Pick<MessageHandlerOptions, 'exchange' | 'routingKey' | 'bindings'>,
  bindQueueArguments?: object,
): RabbitmqBinding[] {
  const own = exchange ? [routingKey ?? []].flat().map((key) => ({ exchange, routingKey: key })) : [];
  const args = bindQueueArguments && { arguments: bindQueueArguments as Record<string, unknown> };
  return [...own, ...bindings].map(({ exchange: from, routingKey: key }) => ({ exchange: from, key, ...args }));
}

/** @throws InvalidOptionError */
function nativeOf(place: string, options: QueueOptions): RabbitmqSubscriptionOptions {
  const { arguments: given, durable, autoDelete, exclusive } = options;
  const named = {
    'x-message-ttl': options.messageTtl,
    'x-expires': options.expires,
    'x-dead-letter-exchange': options.deadLetterExchange,
    'x-dead-letter-routing-key': options.deadLetterRoutingKey,
    'x-max-length': options.maxLength,
    'x-max-priority': options.maxPriority,
  };
  const set = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
  const args = { ...NOT_OURS, 'x-queue-type': 'classic', ...(given as Record<string, unknown>), ...set };
  if (args['x-queue-type'] === 'stream')
    throw new InvalidOptionError(
      `${place}: queueOptions.arguments.x-queue-type`,
      'stream',
      '«classic» or «quorum»: the messages of a stream cannot be settled. Bind a queue of another type',
    );
  return {
    arguments: args,
    ...(durable === false && !exclusive && { durable }),
    ...((autoDelete || exclusive) && { autoDelete: true }),
  };
}
