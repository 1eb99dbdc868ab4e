import { printable } from '../errors/printable.js';
import { redactCredentials } from '../errors/redact.js';
import { connectOnce } from '../transport/connect-once.js';
import type { Transport } from '../transport/transport.js';
import { memory } from '../transports/memory/memory.js';
import { brokerOf, connectTimeoutOf } from './broker-flags.js';
import type { Console } from './command.js';
import type { Access } from './dead-letters-place.js';
import type { FlagValues } from './flags.js';

/** Connects, runs `work`, and disconnects. @throws UsageError, MessagingError */
export async function withBroker<T>(
  values: FlagValues,
  console: Console,
  work: (transport: Transport) => Promise<T>,
): Promise<T> {
  const timeoutMs = connectTimeoutOf(values);
  const transport = brokerOf(values, console).create();
  const { stderr } = console;
  try {
    const warn = (message: string): void => void stderr.write(`${printable(redactCredentials(message))}\n`);
    await connectOnce(transport, { service: 'nestjs-messaging', timeoutMs, warn });
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
