import type { DescribedBindings, TransportDescription } from '../../transport/description.js';
import { property } from './codec.js';
import type { Names } from './names.js';
import type { Settings } from './options.js';

const KEPT = { 'retention.ms': -1 };
const VERSION = { bindingVersion: '0.5.0' };

/** Topics and groups as the Kafka binding 0.5.0 of AsyncAPI names them. */
export function describeKafka({ partitions, replicas, config }: Settings, names: Names): TransportDescription {
  const topic = (name: string, more: object = {}): DescribedBindings => ({
    kafka: { topic: name, partitions, replicas, ...more, ...VERSION },
  });
  return {
    protocol: config('').ssl ? 'kafka-secure' : 'kafka',
    correlationHeader: property.correlationId,
    route: (route, { topic: name }) => topic(names.routeTopic(name, route)),
    queue: (_, name) => ({ bindings: topic(names.queueTopic(name), { topicConfiguration: KEPT }) }),
    receive: ({ queue }) => ({ kafka: { groupId: { type: 'string', enum: [names.group(queue)] }, ...VERSION } }),
  };
}
