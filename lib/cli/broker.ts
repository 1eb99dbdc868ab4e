import { systemClock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import { printable } from '../errors/printable.js';
import { redactCredentials } from '../errors/redact.js';
import type { Transport } from '../transport/transport.js';
import { memory } from '../transports/memory/memory.js';
import { brokerOf, connectTimeoutOf } from './broker-flags.js';
import type { Console } from './command.js';
import type { Access } from './dead-letters-place.js';
import type { FlagValues } from './flags.js';

/** How long the broker may take for an answer. */
const ANSWER_WITHIN_MS = 10_000;

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

/** An operator's command makes nothing on the broker. Attempts that fail are told once, at the end. */
async function connect(transport: Transport, timeoutMs: number, warn: (message: string) => void): Promise<void> {
  const over = new AbortController();
  let connected = false;
  let reason = 'it does not answer';
  const connecting = transport.connect({
    clock: systemClock,
    service: 'nestjs-messaging',
    random: Math.random,
    reconnect: { initial: 200, max: 1_000, jitter: 0.2 },
    confirmTimeout: ANSWER_WITHIN_MS,
    provision: false,
    onEvent(event) {
      if (event.type === 'connected') {
        connected = true;
        over.abort();
      } else if (event.type === 'disconnected') reason = event.reason;
      else if (event.type === 'warning' && (connected || event.reason === undefined)) warn(event.message);
      else if (event.type === 'warning') reason = event.reason!;
    },
  });
  // Only what waiting does not cure.
  const refused = connecting.then(
    () => undefined,
    (error: unknown) => {
      over.abort();
      return { error };
    },
  );
  await sleep(systemClock, timeoutMs, over.signal);
  if (connected) return;
  const failure = over.signal.aborted ? await refused : undefined;
  if (failure) throw failure.error;
  throw new NotConnectedError(
    `No connection to ${transport.system} at ${transport.host} within ${timeoutMs} ms: ${redactCredentials(reason)}`,
  );
}
