import type { Clock } from '../../clock/clock.js';
import { header, integerHeader } from '../../message/headers.js';
import type { Delivery } from '../../transport/delivery.js';

/** The longest wait that is asked for or believed, in milliseconds (49 days). */
export const MAX_WAIT_MS = 2 ** 32 - 2 ** 22;

/** Clocks of two machines differ by so many milliseconds without anybody having to wait for it. */
const TOLERANCE_MS = 100;

/**
 * How many milliseconds too early a message is by its `messaging-not-before`; 0 when its time has come.
 *
 * Our own copies may wait longer than the transport's own delay, in several hops. On a message that came by a route the
 * header is believed as far as a publish could have been delayed; beyond that, or malformed, it is ignored.
 */
export function earlyBy({ direct, message }: Delivery, clock: Clock, maxDelayMs: number): number {
  const { headers } = message;
  if (!(header.notBefore in headers)) return 0;
  const notBefore = integerHeader(headers, header.notBefore, 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const early = notBefore - clock.now();
  return early > TOLERANCE_MS && early <= (direct ? MAX_WAIT_MS : maxDelayMs) ? early : 0;
}
