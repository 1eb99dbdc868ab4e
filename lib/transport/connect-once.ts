import { systemClock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import { redactCredentials } from '../errors/redact.js';
import type { Transport, TransportEvent } from './transport.js';

/** How long the broker may take for an answer. */
const ANSWER_WITHIN_MS = 10_000;

export interface ConnectingOnce {
  readonly service: string;
  /** How long it is tried. */
  readonly timeoutMs: number;
  /** What the transport warns of, but for attempts that fail: those are told once, at the end. */
  readonly warn: (message: string) => void;
  /** True: what is missing may be made. Default false. */
  readonly provision?: boolean;
  /** Told of the connection, also once it is there. */
  readonly onEvent?: (event: TransportEvent) => void;
}

/** For an operator's command. @throws MessagingError where there is no connection in time */
export async function connectOnce(
  transport: Transport,
  { service, timeoutMs, warn, provision = false, onEvent }: ConnectingOnce,
): Promise<void> {
  const over = new AbortController();
  let connected = false;
  let reason = 'it does not answer';
  const connecting = transport.connect({
    clock: systemClock,
    service,
    random: Math.random,
    reconnect: { initial: 200, max: 1_000, jitter: 0.2 },
    confirmTimeout: ANSWER_WITHIN_MS,
    provision,
    onEvent(event) {
      onEvent?.(event);
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
