import type { LogFields } from '../events/log.js';
import type { SubscriptionDefinition } from './subscription-definition.js';

/** What an operator is told of one subscription when it starts. */
export function subscriptionLine(definition: SubscriptionDefinition): readonly [line: string, fields: LogFields] {
  const { handledBy = definition.name, prefetch, topology } = definition;
  const { queue, patterns: routes, deadLetter, partitions } = topology;
  const dead = deadLetter ? `dead letters in «${deadLetter.queue}»` : 'no dead-letter queue';
  const split = partitions === undefined ? '' : `, ${partitions} partitions`;
  return [
    `«${queue}»: ${routes.join(', ')} → ${handledBy}, prefetch ${prefetch}${split}, ${dead}`,
    { queue, routes, handler: handledBy, prefetch, partitions, deadLetterQueue: deadLetter?.queue },
  ];
}
