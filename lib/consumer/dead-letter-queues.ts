import type { QueueConsumer } from './queue-consumer.js';

/** The dead-letter queues of subscriptions, by the name of the subscription; several groups may subscribe to one route. */
export function deadLetterQueues(consumers: Iterable<QueueConsumer>): Map<string, string[]> {
  const queues = new Map<string, string[]>();
  for (const { definition } of consumers) {
    const { deadLetter } = definition.topology;
    if (deadLetter) queues.set(definition.name, [...(queues.get(definition.name) ?? []), deadLetter.queue]);
  }
  return queues;
}
