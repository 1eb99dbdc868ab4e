import { printable, printableJson } from '../errors/printable.js';
import type { QueueList } from '../transport/queue-list.js';
import { withBroker } from './broker.js';
import { BROKER, BROKER_NOTES, isBrokerGiven } from './broker-flags.js';
import { type Command, EXIT } from './command.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { table } from './dead-letters-text.js';
import { commandLines } from './help.js';
import { brokerName, listQueues, SCOPE, scopeOf } from './queue-scope.js';

/** The word alone: what can be done with dead letters, and where there are some. */
export function deadLettersCommand(commands: readonly Command[]): Command {
  return {
    name: 'dead-letters',
    what: 'Lists these commands and, where a broker is given, the dead-letter queues with their counts.',
    flags: [...SCOPE, ...BROKER, JSON_FLAG],
    notes: [
      `Commands:\n${commandLines(commands)}`,
      BROKER_NOTES,
      'Exit codes: 0 listed, 1 failed, 2 wrong usage.',
    ].join('\n\n'),
    async run(values, console) {
      const { stdout } = console;
      const scope = scopeOf(values);
      const isGiven = isBrokerGiven(values, console);
      if (!values.json) stdout.write(`${commandLines(commands)}\n\n`);
      if (!isGiven && !values.json) {
        stdout.write('The dead-letter queues are listed with --broker <url> --service <name>\n');
        return EXIT.ok;
      }
      return withBroker(values, console, async (transport) => {
        const list = await listQueues(transport, scope);
        const counted = countsIn(list);
        if (values.json) stdout.write(`${printableJson(counted, 2)}\n`);
        else if (!list)
          stdout.write(
            `The dead-letter queues on ${printable(brokerName(transport))} are listed with --service <name>\n`,
          );
        else stdout.write(`${readable(counted)}\n`);
        return EXIT.ok;
      });
    },
  };
}

interface Counted {
  readonly name: string;
  /** Dead letters in the queue; null where that does not answer, or is not there. */
  readonly count: number | null;
  /** The queues that these dead letters come from. */
  readonly queues: readonly string[];
}

function countsIn(list: QueueList | undefined): Counted[] {
  const queues = list?.queues ?? [];
  const names = new Set(queues.flatMap(({ deadLetterQueue }) => deadLetterQueue ?? []));
  return [...names].sort().map((name) => ({
    name,
    count: queues.find((one) => one.name === name)?.ready ?? null,
    queues: queues.filter(({ deadLetterQueue }) => deadLetterQueue === name).map((one) => one.name),
  }));
}

function readable(counted: readonly Counted[]): string {
  if (counted.length === 0) return 'There are no dead-letter queues';
  const cells = counted.map(({ name, count, queues }) => [String(count ?? '?'), name, queues.join(', ')]);
  return table(['DEAD LETTERS', 'DEAD-LETTER QUEUE', 'OF'], cells);
}
