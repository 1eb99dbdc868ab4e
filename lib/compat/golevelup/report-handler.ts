import type { CompatSettings } from './config.js';
import { MessageHandlerErrorBehavior } from './error-behaviors.js';
import { batchOf, type CompatHandler } from './handlers.js';
import type { CompatQueue } from './topology.js';

/** What behaves otherwise for a handler. */
export function reportHandler({ place, config }: CompatHandler, queue: CompatQueue, settings: CompatSettings): void {
  const { report, messaging } = settings;
  const differs = (option: string, difference: string): void => report.differs(place, option, difference);
  const { queueOptions = {}, batchOptions, errorBehavior, errorHandler, assertQueueErrorHandler } = config;
  if (errorHandler ?? batchOptions?.errorHandler)
    differs(
      'errorHandler',
      'gets a stand-in for the channel: ack, nack, reject, publish and sendToQueue; to requeue is to retry with pauses. Throw, and give the subscription a «retry»',
    );
  else if (errorBehavior === MessageHandlerErrorBehavior.REQUEUE)
    differs(
      'errorBehavior REQUEUE',
      'retried with pauses, and a dead letter at last, where theirs is called again at once and for ever',
    );
  else if (errorBehavior === MessageHandlerErrorBehavior.NACK && !queue.hasDeadLetterExchange)
    differs(
      'errorBehavior NACK',
      `a dead letter in «${messaging.service}:${queue.queue ?? place}:dlq», where theirs drops it`,
    );
  if (config.type === 'rpc' && errorBehavior !== undefined && !errorHandler)
    differs('errorBehavior', 'is taken; theirs requeues what an RPC handler throws, whatever it says');
  if (assertQueueErrorHandler && assertQueueErrorHandler.name !== 'defaultAssertQueueErrorHandler')
    differs(
      'assertQueueErrorHandler',
      'is not called: a queue that exists otherwise refuses the start, with every difference and the remedy',
    );
  if (config.usePersistentReplyTo === false) differs('usePersistentReplyTo: false', 'replies are persistent');
  if (batchOptions) {
    const { size, timeout } = batchOf(config);
    differs(
      'batchOptions.timeout',
      `a batch is handled ${timeout} ms after its first message came; with theirs each message puts it off`,
    );
    if (size !== batchOptions.size) differs('batchOptions.size', `${size}, as with theirs, for it is below 2`);
  }
  if (queueOptions.consumerOptions?.consumerTag !== undefined)
    differs(
      'queueOptions.consumerOptions.consumerTag',
      'tags are our own; the management pages tell consumers by their connection',
    );
  if (queueOptions.exclusive && queue.queue !== undefined)
    differs(
      'queueOptions.exclusive',
      `«${queue.queue}» goes with its last consumer, and another process could consume it, too. Leave out «queue» for one of this process`,
    );
  if (queue.queue === undefined)
    differs(
      'queue',
      'left out: a queue of this process, that goes with it, where theirs leaves «amq.gen-…» behind for ever unless it is exclusive',
    );
  if (queue.adopt)
    differs(
      'createQueueIfNotExists: false',
      `what is given up is kept in «${messaging.service}:${queue.queue}:dlq». Where the queue has a dead-letter exchange of its own, leave it to that: subscriptions: { '${queue.queue}': { dlq: false } }`,
    );
  if (config.exchange && config.routingKey === undefined && (config.bindings ?? []).length === 0)
    differs('exchange', 'binds nothing without «routingKey», as with theirs: an empty one is for a fanout exchange');
}
