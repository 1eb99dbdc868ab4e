import { kafka, nats, rabbitmq } from './package.mjs';

/** The transport of the package for the broker of a task. */
export function transportOf({ url, exchange, queueType }) {
  // Not warned of in every round: what is synced when is the same for both sides.
  if (queueType === 'nats') return nats({ servers: url, stream: exchange, syncAlways: true });
  if (queueType === 'kafka') return kafka({ brokers: url, topic: exchange });
  return rabbitmq({ url, exchange, queueType });
}
