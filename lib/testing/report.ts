import { because } from '../consumer/settlement/failure-log.js';
import { errorMessage } from '../errors/redact.js';
import type { MemoryBroker } from '../transports/memory/memory-broker.js';
import type { MessagingHistory } from './journal.js';

/** The last so many of each are told. */
const MAX_LINES = 10;

/** What has happened, and what still waits, for who waited for something else. Payloads are not told. */
export function report(history: MessagingHistory, brokers: ReadonlyMap<string, MemoryBroker>): string {
  const { published, handled, failed, deadLettered, dropped, refused } = history;
  const lines = [
    ...told('published', published, ({ route, id, outcome }) => `«${route}» ${id}: ${outcome}`),
    ...told('refused', refused, ({ route, error }) => `«${route}»: ${errorMessage(error)}`),
    ...told('handled', handled, ({ route, id, queue, attempt }) => `«${route}» ${id} of «${queue}», call ${attempt}`),
    ...told(
      'failed',
      failed,
      ({ route, id, queue, attempt, error }) => `«${route}» ${id} of «${queue}», call ${attempt}${because(error)}`,
    ),
    ...told(
      'dead-lettered',
      deadLettered,
      ({ route, id, queue, reason, error }) => `«${route}» ${id} of «${queue}», ${reason}${because(error)}`,
    ),
    ...told('dropped', dropped, ({ route, id, queue }) => `«${route}» ${id} of «${queue}»`),
    ...[...brokers].flatMap(([connection, broker]) => waiting(connection, broker)),
  ];
  return lines.length > 0 ? lines.join('\n') : '  nothing';
}

function told<T>(what: string, records: readonly T[], tell: (record: T) => string): string[] {
  const lines = records.slice(-MAX_LINES).map((record) => `  ${what}: ${tell(record)}`);
  const more = records.length - lines.length;
  return more > 0 ? [`  ${what}: ${more} more before`, ...lines] : lines;
}

function waiting(connection: string, broker: MemoryBroker): string[] {
  const queues = broker
    .queues()
    .filter(({ ready, unsettled }) => ready + unsettled > 0)
    .map(
      ({ name, ready, unsettled, consumers }) =>
        `  in «${name}» (${connection}): ${ready} ready, ${unsettled} unsettled, ${consumers} consumers`,
    );
  return broker.delayed > 0 ? [...queues, `  delayed (${connection}): ${broker.delayed}`] : queues;
}
