import { header, integerHeader } from '../message/headers.js';
import type { Delivery } from '../transport/delivery.js';

const MAX_ATTEMPT = 1_000_000;

/**
 * The number of this handler call: the larger of our header and the unexplained redeliveries. The header counts only on
 * messages that came by the queue's own name, since anybody can publish one with a route.
 */
export function attemptOf(delivery: Delivery, crashes: number): number {
  const told = delivery.direct ? integerHeader(delivery.message.headers, header.attempt, 1, MAX_ATTEMPT) : undefined;
  return Math.max(told ?? 1, crashes);
}
