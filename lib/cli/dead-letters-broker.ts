import { systemClock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import { printable } from '../errors/printable.js';
import { redactCredentials } from '../errors/redact.js';
import type { Transport, TransportFactory } from '../transport/transport.js';
import { memory } from '../transports/memory/memory.js';
import { nats } from '../transports/nats/nats.js';
import { rabbitmq } from '../transports/rabbitmq/rabbitmq.js';
import type { Console } from './command.js';
import type { Access } from './dead-letters-place.js';
import { duration } from './dead-letters-flags.js';
import { type Flag, type FlagValues, textOf, UsageError } from './flags.js';

const DEFAULT_TIMEOUT_MS = 10_000;

/** How the broker is reached. */
export const BROKER: readonly Flag[] = [
  { name: 'exchange', value: 'name', default: 'events', what: 'RabbitMQ: the exchange of the applications' },
  { name: 'stream', value: 'name', default: 'events', what: 'NATS: the stream of the applications' },
  { name: 'creds', value: 'file', what: 'NATS: credentials file' },
  { name: 'timeout', value: 'time', default: '10s', what: 'how long to try to connect' },
];

export const BROKER_NOTES = [
  'Environment: AMQP_URL (amqp://user:password@host/vhost) for RabbitMQ, or NATS_URL for NATS, there with NATS_USER and',
  'NATS_PASSWORD, or NATS_TOKEN. Nothing secret is taken from the command line, where others see it.',
].join('\n');

/** Connects, runs `work`, and disconnects. @throws UsageError, MessagingError */
export async function withBroker<T>(
  values: FlagValues,
  { env, stderr }: Console,
  work: (transport: Transport) => Promise<T>,
): Promise<T> {
  const timeoutMs = duration(values, 'timeout') ?? DEFAULT_TIMEOUT_MS;
  const transport = brokerOf(values, env).create();
  try {
    await connect(transport, timeoutMs, (message) => void stderr.write(`${printable(redactCredentials(message))}\n`));
    return await work(transport);
  } finally {
    await transport.close();
  }
}

/** Never connected, and never asked: there are no queues to be read, and nothing is sent. */
const NO_BROKER: Transport = memory().create();

/** For places on the disk: with the broker where something is to be sent, else without any. @throws as `withBroker` */
export function withBrokerToSend<T>(
  access: Access,
  values: FlagValues,
  console: Console,
  work: (transport: Transport) => Promise<T>,
): Promise<T> {
  return access === 'send' ? withBroker(values, console, work) : work(NO_BROKER);
}

/** @throws UsageError for what is only of use with a broker */
export function refuseBroker(values: FlagValues, why: string): void {
  const wrong = BROKER.find(({ name }) => values[name] !== undefined);
  if (wrong) throw new UsageError(`--${wrong.name} does not fit: ${why}. Leave it out`);
}

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
