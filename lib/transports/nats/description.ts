import type { TransportDescription } from '../../transport/description.js';
import { property } from './wire/headers.js';
import { directSubject, type Names, tokenOf } from './names.js';
import { filtersOf } from './topology/patterns.js';

const filters = (topic: string, patterns: readonly string[]): string[] =>
  patterns.flatMap((pattern) => filtersOf(tokenOf(topic), pattern)).sort();

/** What the NATS binding 0.1.0 of AsyncAPI has a word for, and the stream and subjects beside it. */
export function describeNats(names: Names): TransportDescription {
  return {
    protocol: 'nats',
    correlationHeader: property.correlationId,
    replyTo: { in: 'header', name: property.replyTo },
    queue: ({ queue, topic = names.stream, patterns }, name) => ({
      details: {
        stream: topic,
        subjects:
          name === queue ? [...filters(topic, patterns), directSubject(name, names)] : [directSubject(name, names)],
      },
    }),
    receive: ({ queue }) => ({ nats: { queue, bindingVersion: '0.1.0' } }),
  };
}
