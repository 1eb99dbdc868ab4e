import type { Log } from '../events/log.js';
import type { WireMessage } from '../message/message.js';

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
