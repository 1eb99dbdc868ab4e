import { systemClock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { DeadLetters } from '../dead-letter/dead-letters.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import { TopologyMismatchError } from '../errors/configuration-errors.js';
import { errorMessage, redactCredentials } from '../errors/redact.js';
import { MessagingEvents } from '../events/messaging-events.js';
import type { PublisherDeadLetters } from '../publisher/publisher-dead-letters.js';
import type { Transport, TransportFactory } from '../transport/transport.js';
import { nats } from '../transports/nats/nats.js';
import { rabbitmq } from '../transports/rabbitmq/rabbitmq.js';
import type { Console } from './command.js';
import { duration } from './dead-letters-flags.js';
import { type Flag, type FlagValues, textOf, UsageError } from './flags.js';

const DEFAULT_TIMEOUT_MS = 10_000;

/** Where the dead letters are. */
export const BROKER: readonly Flag[] = [
  {
    name: 'queue',
    value: 'name',
    what: 'dead-letter queue: orders:order.created:dlq; can be repeated; required',
    multiple: true,
  },
  { name: 'exchange', value: 'name', default: 'events', what: 'RabbitMQ: the exchange of the applications' },
  { name: 'stream', value: 'name', default: 'events', what: 'NATS: the stream of the applications' },
  { name: 'creds', value: 'file', what: 'NATS: credentials file' },
  { name: 'timeout', value: 'time', default: '10s', what: 'how long to try to connect' },
];

export const BROKER_NOTES = [
  'Environment: AMQP_URL (amqp://user:password@host/vhost) for RabbitMQ, or NATS_URL for NATS, there with NATS_USER and',
  'NATS_PASSWORD, or NATS_TOKEN. Nothing secret is taken from the command line, where others see it.',
].join('\n');

/** Said where a queue is read and put back. */
export const READING_NOTES = [
  'RabbitMQ lets nobody look into a queue: its messages are taken, and given back at the end. Meanwhile other readers do not',
  'see them; afterwards they are marked «redelivered», and a quorum queue has counted one delivery more. The order stays,',
  'except where more than 2,000 that were read before follow those that are shown: these go to the end then. At the delivery',
  'limit of the queue a message is dropped: queues of this package have 1,000,000, one that somebody else has declared may have 20.',
  'NATS shows messages without taking them.',
].join('\n');

/** What a command needs of the broker. */
export interface OpenBroker {
  readonly deadLetters: DeadLetters;
  readonly queues: readonly string[];
}

/** Connects, runs `work`, and disconnects. @throws UsageError, MessagingError */
export async function withBroker<T>(
  values: FlagValues,
  { env, stderr }: Console,
  work: (broker: OpenBroker) => Promise<T>,
): Promise<T> {
  const queues = (values.queue as string[] | undefined) ?? [];
  if (queues.length === 0) throw new UsageError('--queue is required: the name of a dead-letter queue');
  const timeoutMs = duration(values, 'timeout') ?? DEFAULT_TIMEOUT_MS;
  const transport = brokerOf(values, env).create();
  const warn = (message: string): void => void stderr.write(`${redactCredentials(message)}\n`);
  try {
    await connect(transport, timeoutMs, warn);
    for (const queue of queues) {
      if ((await transport.depth(queue)) === undefined)
        throw new TopologyMismatchError(
          `There is no queue «${queue}» on ${transport.system} at ${transport.host}. Its name is <service>:<subscription>:dlq`,
        );
    }
    const deadLetters = new DeadLetters({
      transport,
      publishers: NONE,
      clock: systemClock,
      events: new MessagingEvents((error) => warn(errorMessage(error))),
      queues: () => new Map(),
      onChange: () => undefined,
    });
    return await work({ deadLetters, queues });
  } finally {
    await transport.close();
  }
}

/** Those of a publisher are where its retry queue is: in the application. */
const NONE: PublisherDeadLetters = { size: 0, after: () => [], delete: () => false };

function brokerOf(values: FlagValues, env: Console['env']): TransportFactory {
  const { AMQP_URL: amqp, NATS_URL: servers, NATS_USER: user, NATS_PASSWORD: pass, NATS_TOKEN: token } = env;
  if (!amqp === !servers)
    throw new UsageError(
      amqp
        ? 'AMQP_URL and NATS_URL are both set: unset one of them'
        : 'AMQP_URL (RabbitMQ) or NATS_URL (NATS) has to be set: the address of the broker',
    );
  const refuse = (...flags: string[]): void => {
    const wrong = flags.find((flag) => values[flag] !== undefined);
    if (wrong !== undefined) throw new UsageError(`--${wrong} does not fit ${amqp ? 'AMQP_URL' : 'NATS_URL'}`);
  };
  if (amqp) {
    refuse('stream', 'creds');
    const exchange = textOf(values, 'exchange');
    return rabbitmq({ url: amqp, connectionName: 'dead-letters', ...(exchange !== undefined && { exchange }) });
  }
  refuse('exchange');
  const [stream, credentials] = [textOf(values, 'stream'), textOf(values, 'creds')];
  const login = token ? { token } : user ? { user, pass } : undefined;
  return nats({
    servers: servers!.split(',').map((one) => one.trim()),
    ...(stream !== undefined && { stream }),
    ...(credentials !== undefined && { credentials }),
    ...(login && { options: login }),
  });
}

/** An operator's command makes nothing on the broker. */
async function connect(transport: Transport, timeoutMs: number, warn: (message: string) => void): Promise<void> {
  const connected = new AbortController();
  let reason = 'it does not answer';
  await transport.connect({
    clock: systemClock,
    service: 'dead-letters',
    random: Math.random,
    reconnect: { initial: 200, max: 1_000, jitter: 0.2 },
    confirmTimeout: 10_000,
    provision: false,
    onEvent(event) {
      if (event.type === 'connected') connected.abort();
      else if (event.type === 'disconnected') reason = event.reason;
      else if (event.type === 'warning') warn(event.message);
    },
  });
  await sleep(systemClock, timeoutMs, connected.signal);
  if (!connected.signal.aborted)
    throw new NotConnectedError(
      `No connection to ${transport.system} at ${transport.host} within ${timeoutMs} ms: ${redactCredentials(reason)}`,
    );
}
