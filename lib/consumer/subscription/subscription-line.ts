import type { Log, LogFields } from '../../events/log.js';
import type { SubscriptionDefinition } from './subscription-definition.js';

/** A subscription, as it was defined. @internal */
export interface SubscriptionSummary {
  readonly name: string;
  readonly handledBy: string;
  readonly queue: string;
  readonly routes: readonly string[];
  readonly deadLetterQueue: string | undefined;
  readonly prefetch: number;
  readonly attempts: number;
  readonly idempotent: boolean;
}

export function summaryOf(definition: SubscriptionDefinition): SubscriptionSummary {
  const { name, handledBy = name, prefetch, routes, topology, retry, idempotent } = definition;
  const { queue, deadLetter } = topology;
  const told = { name, handledBy, queue, routes, prefetch, attempts: retry.attempts };
  return { ...told, deadLetterQueue: deadLetter?.queue, idempotent: idempotent !== undefined };
}

/** What an operator is told of one subscription when it starts. */
export function subscriptionLine(definition: SubscriptionDefinition): readonly [line: string, fields: LogFields] {
  const { handledBy = definition.name, prefetch, routes, topology } = definition;
  const { queue, patterns, deadLetter, partitions, exclusive } = topology;
  const bound = patterns.length > 0 ? '' : ' (not bound)';
  const dead = deadLetter ? `dead letters in «${deadLetter.queue}»` : 'no dead-letter queue';
  const split = partitions === undefined ? '' : `, ${partitions} partitions`;
  const own = exclusive ? ', of this process alone' : '';
  return [
    `«${queue}»: ${routes.join(', ')}${bound} → ${handledBy}, prefetch ${prefetch}${split}${own}, ${dead}`,
    { queue, routes, handler: handledBy, prefetch, partitions, deadLetterQueue: deadLetter?.queue },
  ];
}

/** Tells all that start together, and how many they are. */
export function tellSubscriptions(
  consumers: readonly { readonly definition: SubscriptionDefinition }[],
  log: Log,
): void {
  for (const { definition } of consumers) log.log(...subscriptionLine(definition));
  const { length } = consumers;
  log.log(length === 0 ? 'There are no subscriptions' : `${length} subscription${length === 1 ? '' : 's'} started`);
}

/** The definition, with who handles it. */
export function handledBy<D extends SubscriptionDefinition>(name: string, definition: D): D {
  return { ...definition, handledBy: name };
}
