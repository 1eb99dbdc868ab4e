import type { MessagingError } from '../../../errors/messaging-error.js';
import { MessageTooLargeError, PublishFailedError, PublishRefusedError } from '../../../errors/publish-errors.js';
import { CONFIRMED, type PublishResult } from '../../../transport/outgoing.js';
import type { AmqpError } from '../connection/amqplib.js';
import { describe, reply } from '../connection/broker-errors.js';
import type { InFlight } from './publish-channel.js';

/*
 * The broker closes the channel on a message it refuses and does not say which one it was; everything else in flight
 * fails with it. So the suspects are sent again, each alone: the one that closes its channel again is the culprit.
 */

const BASIC_PUBLISH = { classId: 60, methodId: 40 } as const;

/** True when the channel was closed because of one of the messages on it. */
export function isCausedByPublish(error: AmqpError | undefined): error is AmqpError {
  return (
    error?.classId === BASIC_PUBLISH.classId &&
    error.methodId === BASIC_PUBLISH.methodId &&
    error.code !== reply.notFound
  );
}

/** Room for headers, which some versions of the broker count as size. */
const HEADERS_ROOM = 65_536;

/** Splits what was in flight into those that can have caused `error` and the others, as far as its text tells. */
export function suspectsOf<T extends InFlight>(
  entries: readonly T[],
  error: AmqpError,
): { suspects: T[]; others: T[] } {
  const fits = suspicion(describe(error));
  const suspects = entries.filter(fits);
  if (suspects.length === 0) return { suspects: [...entries], others: [] };
  return { suspects, others: entries.filter((entry) => !fits(entry)) };
}

function suspicion(text: string): (entry: InFlight) => boolean {
  const size = /larger than (?:configured )?max size (\d+)/.exec(text);
  if (size) return (entry) => entry.body.length + HEADERS_ROOM > Number(size[1]);
  const exchange = /exchange '([^']*)'/.exec(text);
  if (exchange) return (entry) => entry.exchange === exchange[1];
  return () => true;
}

/** What the sender of the culprit is told. `text`: what the broker said, without credentials. */
export function refusalOf(text: string): MessagingError {
  if (/message size/i.test(text)) return new MessageTooLargeError(`RabbitMQ refuses the message: ${text}`);
  return new PublishRefusedError(`RabbitMQ refuses the message: ${text}`);
}

/** How a message fared alone on its channel. */
export type Verdict = 'acked' | 'nacked' | 'lost' | AmqpError;

/** What the sender of the message is told of that. */
export function resultOf(verdict: Verdict, redact: (text: string) => string): PublishResult {
  if (verdict === 'acked') return CONFIRMED;
  if (verdict === 'nacked') return failed('RabbitMQ did not confirm the message (nack)', true);
  if (verdict === 'lost') return failed('RabbitMQ did not confirm the message');
  if (verdict.code === reply.notFound) return failed(redact(describe(verdict)));
  return { status: 'refused', error: refusalOf(redact(describe(verdict))) };
}

function failed(message: string, nacked = false): PublishResult {
  return { status: 'failed', error: new PublishFailedError(message), nacked };
}

/** Sends one suspect after the other; `tell` hears each verdict. Ends early, with `lost` for the rest, when nothing can be sent. */
export async function isolate<T extends InFlight>(
  suspects: readonly T[],
  sendAlone: (entry: T) => Promise<Verdict>,
  tell: (entry: T, verdict: Verdict) => void,
): Promise<void> {
  let lost = false;
  for (const entry of suspects) {
    const verdict: Verdict = lost ? 'lost' : await sendAlone(entry).catch(() => 'lost' as const);
    lost = verdict === 'lost';
    tell(entry, verdict);
  }
}
