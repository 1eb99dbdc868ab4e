import { nats, rabbitmq } from './package.mjs';

/** The transport of the package for the broker of a task. */
export function transportOf({ url, exchange, queueType }) {
  // Not warned of in every round: what is synced when is the same for both sides.
  if (queueType === 'nats') return nats({ servers: url, stream: exchange, syncAlways: true });
  return rabbitmq({ url, exchange, queueType });
}
