import type { RetryPolicy } from '../../retry/retry-policy.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { AttemptCount } from './attempt-count.js';
import { CopyAttempts } from './copy-attempts.js';
import { RedeliveryAttempts } from './redelivery-attempts.js';

/** The way in which the transport's deliveries are counted; it remembers some ids, a few times as many as are here at once. */
export function attemptCountFor(
  capabilities: TransportCapabilities,
  { attempts }: RetryPolicy,
  prefetch: number,
): AttemptCount {
  const remembered = Math.max(1_000, prefetch * 4);
  return capabilities.retry === 'redelivery'
    ? new RedeliveryAttempts(attempts, remembered)
    : new CopyAttempts(remembered);
}
