import { type Headers, type HeaderValue, header } from '../../../message/headers.js';
import type { WireMessage } from '../../../message/message.js';

/** The broker's own account of a message that it dead-lettered (`x-death`): a list, the latest first; one entry for each queue and reason. */
interface BrokerDeath {
  readonly queue?: HeaderValue;
  readonly reason?: HeaderValue;
  readonly exchange?: HeaderValue;
  readonly 'routing-keys'?: HeaderValue;
  readonly count?: HeaderValue;
  /** Seconds, in amqplib's terms; of the first of `count` times. */
  readonly time?: HeaderValue;
}

/**
 * What the broker dead-lettered by itself, told by the headers with which this package tells it. A redrive goes to the queue
 * that it was in, and to no other.
 */
export function withBrokerDeath(message: WireMessage, received: Headers | undefined): WireMessage {
  const death = latestOf(received?.['x-death']);
  if (!death || header.reason in message.headers) return message;
  const { queue, reason, exchange, count } = death;
  const keys = death['routing-keys'];
  const told: Record<string, HeaderValue> = {
    [header.originQueue]: textOf(queue),
    [header.originTopic]: textOf(exchange),
    [header.originRoute]:
      textOf(Array.isArray(keys) ? (keys as readonly HeaderValue[])[0] : undefined) ?? message.route,
    // A copy of ours says where its original came from.
    ...message.headers,
    [header.reason]: `broker: ${textOf(reason) ?? 'unknown'}`,
    [header.errorMessage]: `The broker took it out of «${textOf(queue) ?? '?'}» (${textOf(reason) ?? 'unknown'}${timesOf(count)})`,
    [header.originTime]: timeOf(death.time),
  };
  const headers = Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
  return { ...message, headers };
}

function latestOf(deaths: HeaderValue): BrokerDeath | undefined {
  const latest: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  return typeof latest === 'object' && latest !== null ? latest : undefined;
}

function textOf(value: HeaderValue): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function timesOf(count: HeaderValue): string {
  return typeof count === 'number' && count > 1 ? `, ${count} times` : '';
}

/** In milliseconds. */
function timeOf(time: HeaderValue): number | undefined {
  const seconds = typeof time === 'object' && time !== null && 'value' in time ? time.value : undefined;
  return typeof seconds === 'number' && Number.isSafeInteger(seconds * 1_000) ? seconds * 1_000 : undefined;
}
