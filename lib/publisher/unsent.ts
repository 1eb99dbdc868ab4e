import type { Log } from '../events/log.js';
import type { WireMessage } from '../message/message.js';
import type { Transport } from '../transport/transport.js';
import type { RetryQueueStore } from './retry-queue-store.js';

/** So many messages are named in one line. */
const PER_LINE = 100;

/** Says which messages end with this process, as far as it knows: every id, in few lines. */
export function reportUnsent(unsent: readonly WireMessage[], log: Log): void {
  for (let from = 0; from < unsent.length; from += PER_LINE) {
    const batch = unsent.slice(from, from + PER_LINE);
    const names = batch.map(({ id, route }) => `${id} (${route})`);
    log.error(
      `Not confirmed before the shutdown deadline, and lost with this process ` +
        `(${from + 1} to ${from + batch.length} of ${unsent.length}): ${names.join(', ')}`,
    );
  }
}

/** What of a connection does not outlive the process; said once, when it starts. */
export function volatility({ capabilities }: Transport, { kind }: RetryQueueStore): string | undefined {
  const parts = [
    ...(capabilities.durable ? [] : ['the embedded broker']),
    ...(kind === 'memory' ? ['the publisher retry queue'] : []),
  ];
  if (parts.length === 0) return undefined;
  return `What ${parts.join(' and ')} hold${parts.length > 1 ? '' : 's'} is in memory and ends with this process`;
}
