import { printable, printableJson } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import type { ListedQueue, QueueList } from '../transport/queue-list.js';
import { withBroker } from './broker.js';
import { BROKER, BROKER_NOTES } from './broker-flags.js';
import { type Command, EXIT } from './command.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { table } from './dead-letters-text.js';
import { UsageError } from './flags.js';
import { brokerName, listQueues, noQueue, SCOPE, scopeOf } from './queue-scope.js';

export const queuesCommand: Command = {
  name: 'queues',
  what: 'Shows queues with their messages, consumers and dead letters, as the broker tells them.',
  flags: [...SCOPE, ...BROKER, { name: 'names', what: 'only the names, one in a line' }, JSON_FLAG],
  notes: [
    BROKER_NOTES,
    [
      'RabbitMQ lists no queues over AMQP: those of --service are on record in its queue <service>:declared, which applications with',
      '«provision: false» do not write. What is in flight it does not tell. NATS tells that somebody consumes, not how many: «some».',
      'Where nobody asks for messages and some are in flight there, «?» says that their process may be busy, or gone.',
    ].join('\n'),
    'Exit codes: 0 shown, 1 failed, or a service or queue is not there, 2 wrong usage.',
  ].join('\n\n'),
  async run(values, console) {
    const scope = scopeOf(values);
    const { stdout, stderr } = console;
    if (values.names && values.json) throw new UsageError('--names and --json do not go together');
    return withBroker(values, console, async (transport) => {
      const broker = brokerName(transport);
      const list = await listQueues(transport, scope);
      if (!list) throw new UsageError(`--service or --queue is required: ${broker} lists no queues by itself`);
      const absent = list.missing.filter((name) => scope.queues?.includes(name));
      if (values.names) stdout.write(list.queues.map(({ name }) => `${printable(name)}\n`).join(''));
      else if (values.json) stdout.write(`${printableJson(toJson(list, broker), 2)}\n`);
      else if (list.queues.length > 0 || absent.length === 0) {
        const others = { ...list, missing: list.missing.filter((name) => !absent.includes(name)) };
        stdout.write(`${readable(others, broker)}\n`);
      }
      for (const name of absent) stderr.write(`${printable(errorMessage(await noQueue(transport, name)))}\n`);
      return absent.length > 0 ? EXIT.failed : EXIT.ok;
    });
  },
};

/** A queue together with its dead letters. */
interface QueueTableRow extends ListedQueue {
  readonly deadLetters?: number;
}

/** A dead-letter queue is told with the queues that it belongs to. */
function rowsOf({ queues }: QueueList): QueueTableRow[] {
  const byName = new Map(queues.map((queue) => [queue.name, queue]));
  const belonging = new Set(queues.map(({ deadLetterQueue }) => deadLetterQueue));
  return queues
    .filter(({ name }) => !belonging.has(name))
    .map((queue) => ({ ...queue, deadLetters: byName.get(queue.deadLetterQueue ?? '')?.ready }));
}

const HEAD = ['READY', 'IN FLIGHT', 'CONSUMERS', 'DEAD LETTERS', 'QUEUE', 'DEAD-LETTER QUEUE'];

function readable(list: QueueList, broker: string): string {
  const rows = rowsOf(list);
  const cells = rows.map(({ ready, inFlight, consumers, deadLetters, name, deadLetterQueue }) => [
    String(ready ?? '?'),
    String(inFlight ?? '-'),
    String(consumers ?? '?'),
    deadLetterQueue === undefined ? '-' : String(deadLetters ?? '?'),
    name,
    deadLetterQueue ?? '-',
  ]);
  // In a narrow terminal it wraps: a name that is cut is of no use.
  const lines = rows.length > 0 ? [table(HEAD, cells)] : [];
  const dead = new Map(rows.map(({ deadLetterQueue, deadLetters }) => [deadLetterQueue, deadLetters]));
  const ready = sum(rows.map((row) => row.ready));
  lines.push(`${rows.length} queues on ${printable(broker)}: ${ready} ready, ${sum([...dead.values()])} dead letters`);
  const waiting = list.waiting.filter((one) => one.ready !== 0);
  if (waiting.length > 0) {
    const where = waiting.map(({ name, ready: count = '?' }) => `${count} in ${name}`).join(', ');
    lines.push(
      `Waiting for a retry or a delay, of all applications: ${sum(waiting.map((one) => one.ready))} (${where})`,
    );
  }
  if (list.missing.length > 0) lines.push(`Not there: ${printable(list.missing.join(', '))}`);
  return lines.join('\n');
}

function toJson(list: QueueList, broker: string): object {
  const { missing, waiting } = list;
  const queues = rowsOf(list).map(({ name, ready, inFlight, consumers, routes, deadLetterQueue, deadLetters }) => ({
    name,
    ready: ready ?? null,
    inFlight: inFlight ?? null,
    consumers: consumers ?? null,
    routes,
    deadLetterQueue: deadLetterQueue ?? null,
    deadLetters: deadLetters ?? null,
  }));
  return { broker, queues, waiting, missing };
}

function sum(counts: readonly (number | undefined)[]): number {
  return counts.reduce<number>((total, count) => total + (count ?? 0), 0);
}
