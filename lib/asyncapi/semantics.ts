import { handlersAtATime } from '../consumer/schedule/concurrency.js';
import type { BatchDefinition } from '../consumer/subscription/batch-definition.js';
import type { SubscriptionDefinition } from '../consumer/subscription/subscription-definition.js';
import type { UnroutablePolicy } from '../publisher/publish-options.js';
import type { TransportCapabilities } from '../transport/capabilities.js';
import type { Json } from './json.js';

/** What consumers of a queue can rely on. */
export function receiveSemantics(
  definition: SubscriptionDefinition | BatchDefinition,
  { durable, keyOrder }: TransportCapabilities,
): Json {
  const { group, concurrency, prefetch, retry, timeoutMs, delayMs, killSwitch, idempotent, topology } = definition;
  const keyed = concurrency.keyOf !== undefined;
  const overProcesses = definition.partitioning !== undefined || keyOrder === 'key';
  const limit = 'batch' in definition ? definition.batch.limit : handlersAtATime(concurrency);
  return {
    delivery: 'at-least-once',
    durable,
    group,
    order: keyed ? (overProcesses ? 'key' : 'key-in-process') : 'none',
    prefetch,
    concurrency: limit === undefined ? concurrency.kind : limit === Infinity ? 'prefetch' : limit,
    batch: 'batch' in definition ? { size: definition.batch.size, maxWaitMs: definition.batch.maxWaitMs } : undefined,
    retry: retry.describe(),
    timeoutMs,
    delayMs: delayMs > 0 ? delayMs : undefined,
    deadLetter: topology.deadLetter ?? false,
    idempotent: idempotent ? { windowMs: idempotent.windowMs } : false,
    killSwitch,
    handles: definition.routing?.handles,
  };
}

/** What a publisher can rely on. */
export function sendSemantics(unroutable: UnroutablePolicy, { durable }: TransportCapabilities): Json {
  return { delivery: 'at-least-once', durable, confirmed: true, unroutable };
}
