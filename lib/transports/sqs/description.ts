import type { DescribedBindings, TransportDescription } from '../../transport/description.js';
import { queueName, topicName } from './names.js';
import type { Settings } from './options.js';
import { MOST_RECEIVES, RETENTION_SECONDS } from './queues.js';

/** The newest that the schema of AsyncAPI 3.1 takes. */
const SQS = { bindingVersion: '0.2.0' };
const SNS = { bindingVersion: '0.1.0' };

/** Queues as the SQS binding 0.2.0 of AsyncAPI names them, and topics as the SNS binding 0.1.0 does. */
export function describeSqs({ prefix, fifo, lease, topic: own, topics }: Settings): TransportDescription {
  const nameOf = (queue: string): string => queueName(prefix, queue, fifo ? '.fifo' : '');
  const made = (name: string): object => ({
    name: nameOf(name),
    fifoQueue: fifo,
    visibilityTimeout: lease / 1_000,
    messageRetentionPeriod: RETENTION_SECONDS,
  });
  const topicOf = (topic: string): DescribedBindings => ({
    sns: {
      name: topic.startsWith('arn:') ? topic.slice(topic.lastIndexOf(':') + 1) : topicName(prefix, topic, fifo),
      ...(fifo && { ordering: { type: 'FIFO', contentBasedDeduplication: false } }),
      ...SNS,
    },
  });
  return {
    protocol: 'sqs',
    ...(topics === 'sns' && { route: (_: string, { topic = own }: { readonly topic?: string }) => topicOf(topic) }),
    queue({ queue, deadLetter }, name) {
      if (name !== queue || !deadLetter) return { bindings: { sqs: { queue: made(name), ...SQS } } };
      const redrivePolicy = { deadLetterQueue: { name: nameOf(deadLetter.queue) }, maxReceiveCount: MOST_RECEIVES };
      return {
        bindings: { sqs: { queue: { ...made(name), redrivePolicy }, deadLetterQueue: made(deadLetter.queue), ...SQS } },
      };
    },
    receive: ({ queue }) => ({ sqs: { queues: [{ name: nameOf(queue), fifoQueue: fifo }], ...SQS } }),
  };
}
