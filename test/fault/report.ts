import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { faults } from './faults/all.js';
import type { CellResult } from './matrix.js';
import { measured } from './measured-faults.js';
import type { StressResult } from './stress.js';
import { type FaultCell, transportFaults, TRANSPORTS } from './transport-faults.js';

const KEPT = '.build/fault-results.json';
const DOCUMENT = 'docs/faults.md';

interface Kept {
  readonly cells: readonly CellResult[];
  readonly stress: readonly StressResult[];
}

/** Writes docs/faults.md from these results and from what earlier commands found for other cells. */
export function writeReport(fresh: Partial<Kept>): void {
  const kept = readKept();
  const cells = fresh.cells ?? [];
  const again = new Set(cells.map(keyOf));
  const all: Kept = {
    cells: [...kept.cells.filter((cell) => !again.has(keyOf(cell))), ...cells],
    stress: fresh.stress ?? kept.stress,
  };
  mkdirSync(dirname(KEPT), { recursive: true });
  writeFileSync(KEPT, JSON.stringify(all));
  writeFileSync(DOCUMENT, `${documentOf(all)}\n`);
}

function readKept(): Kept {
  if (!existsSync(KEPT)) return { cells: [], stress: [] };
  const { cells, stress } = JSON.parse(readFileSync(KEPT, 'utf8')) as Kept;
  // Those of before there were other ways of consuming do not say theirs.
  return { cells: cells.map((cell) => ({ ...cell, consumerKind: cell.consumerKind ?? 'plain' })), stress };
}

function keyOf({ fault, version, queueType, consumerKind }: CellResult): string {
  return [fault, version, queueType, consumerKind].join();
}

function documentOf({ cells, stress }: Kept): string {
  return [
    introduction,
    '## The matrix',
    `Seeds: ${[...new Set(cells.map(({ seed }) => seed))].sort((a, b) => a - b).join(', ')}. Each row is the latest run of its cell. A run that failed is counted in «failed».`,
    table(
      [
        'Fault',
        'RabbitMQ',
        'Queue',
        'Consumer',
        'Runs',
        'Failed',
        'Attempted',
        'Confirmed',
        'Queued',
        'Rejected',
        'Handled',
        'Dead letters',
        'Lost',
        'Deleted',
        'Unexpected',
        'Duplicated',
        'Recovered',
      ],
      faults.flatMap(({ name }) => rowsOf(cells.filter(({ fault }) => fault === name))),
    ),
    '## What each fault is',
    table(
      ['Fault', 'What happens'],
      faults.map(({ name, title }) => [`\`${name}\``, title]),
    ),
    ...stressSection(stress),
    ...transportsSection(),
    ...measuredSection(),
  ].join('\n\n');
}

export const introduction = `# Faults

<!-- Written by \`npm run test:fault -- --write\`. Changes made by hand are lost. -->

Every cell starts a publisher and a consumer as processes of their own against a real broker, lets the fault hit under
load, heals it, drains everything and settles the account:

- **attempted**: messages given to \`publish\`; **confirmed**, **queued**, **rejected**: what their publisher was told
  (a queued one that is rejected later counts in both).
- **handled**: messages whose handler has ended; **dead letters**: messages in the dead-letter queue at the end.
- **lost**: confirmed, or queued in a process that lived, and neither handled nor a dead letter. Must be 0.
- **deleted**: acknowledged, and deleted by the cell itself, as an operator, with the queue that it was in.
- **unexpected**: handled or a dead letter without having been sent, or after a refusal. Must be 0.
- **duplicated**: extra copies, each with the id of its original. At most what was in flight when the fault hit: publishes
  without a confirm, and what each consumer held without an ack.
- **recovered**: without a receipt, because the publisher was killed, and handled all the same.

The consumer is one of four: **plain** is a handler per message, **batch** is \`@SubscribeBatch\`, **receive** is twenty
loops over one \`messaging.receive\`, **partitions** is a handler per message over a queue split into four by key. With
partitions the order is judged as well: no message of a key begins before the one before it is over.

A cell fails unless its fault really hit: something was in flight at that moment, and the reaction it must cause
(disconnect, nack, queued, consumer stopped, …) was seen. At the end every queue but the dead letters is empty.
The accounting itself is tested with a planted loss, a planted duplicate and a planted message that nobody sent.

Run it: \`npm run test:fault\` (whole matrix), \`npm run test:fault -- broker-killed --rabbitmq 4.0.5 --seed 7\` (a part
of it), \`npm run test:stress\`. \`npm run test:kills\` runs a short part (another seed: FAULT_SEED).

Some faults cost a copy that no client can avoid: a broker that stored a message and could not say so has it twice after
the resend. A quorum queue without a majority keeps what was in flight at the first confirm timeout, and each probe
after it, until the majority is back; on 3.10 also what was sent on channels that it nacked. All copies have the same id.

RabbitMQ offers a delayed copy that its queue refused when due again after three to six minutes: it looks every three
minutes for those that have waited as long. The suite shortens that to two seconds
(\`dead_letter_worker_publisher_confirm_timeout\`). With the default, retries can be that much late, without being in any
queue's depth, where one falls due while its queue is full or has no leader (\`queue-full\`, \`leader-killed\` on 3.10.8,
\`majority-lost\`). The cell \`refused-when-due\` runs with the default, and waits for them.

Queues and exchanges that a cell deletes, it deletes as an operator would. What was in a deleted queue is gone; its ids
are read before, and exactly those may be missing.

That the tests look is tested as well: \`node test/fault/mutations/run.mjs\` puts faults into a copy of the package, those
measured in other libraries among them, and runs for each the test that must fail.`;

function rowsOf(cells: readonly CellResult[]): string[][] {
  const groups = new Map<string, CellResult[]>();
  for (const cell of cells) groups.set(keyOf(cell), [...(groups.get(keyOf(cell)) ?? []), cell]);
  return [...groups.values()].map((runs) => {
    const [{ fault, version, queueType, consumerKind }] = runs;
    const sum = (of: (account: NonNullable<CellResult['account']>) => number): string =>
      String(runs.reduce((total, { account }) => total + (account ? of(account) : 0), 0));
    return [
      `\`${fault}\``,
      version,
      queueType,
      consumerKind,
      String(runs.length),
      String(runs.filter(({ problems }) => problems.length > 0).length),
      sum(({ attempted }) => attempted),
      sum(({ confirmed }) => confirmed),
      sum(({ queued }) => queued),
      sum(({ rejected }) => rejected),
      sum(({ handled }) => handled),
      sum(({ deadLettered }) => deadLettered),
      sum(({ lost }) => lost.length),
      sum(({ deleted = 0 }) => deleted),
      sum(({ unexpected }) => unexpected.length),
      sum(({ duplicated }) => duplicated),
      sum(({ recovered }) => recovered),
    ];
  });
}

function stressSection(results: readonly StressResult[]): string[] {
  if (results.length === 0) return [];
  return [
    '## Stress',
    'One run: many messages, random faults one after the other, drained to the last. Memory is the publisher’s heap after a garbage collection, at rest after the first and after the last fault.',
    table(
      [
        'RabbitMQ',
        'Seed',
        'Faults',
        'Attempted',
        'Handled',
        'Dead letters',
        'Lost',
        'Unexpected',
        'Duplicated',
        'Memory',
        'Seconds',
      ],
      results.map(({ cell, memory, hits }) => [
        cell.version,
        String(cell.seed),
        String(hits.length),
        String(cell.account?.attempted),
        String(cell.account?.handled),
        String(cell.account?.deadLettered),
        String(cell.account?.lost.length),
        String(cell.account?.unexpected.length),
        String(cell.account?.duplicated),
        `${megabytes(memory[0])} → ${megabytes(memory.at(-1))} MB`,
        cell.seconds.toFixed(0),
      ]),
    ),
  ];
}

export function measuredSection(): string[] {
  return [
    '## Faults of other libraries',
    'What was measured there beforehand, and the tests of ours that look for it; a name alone is a cell of the matrix.',
    table(
      ['Case', 'There', 'Here', 'Shown by'],
      measured.map(({ fault, theirs, ours, shownBy }) => [fault, theirs, ours, told(shownBy)]),
    ),
  ];
}

/** The same for every transport, by tests of theirs. */
export function transportsSection(): string[] {
  return [
    '## On every transport',
    'The matrix is of RabbitMQ. Other transports have tests of their own, which account for every message of a load where they are called `faults`. A name alone is a cell of the matrix; each test is in its `test` folder.',
    table(
      ['Fault', ...TRANSPORTS],
      transportFaults.map(({ fault, shown }) => [fault, ...TRANSPORTS.map((transport) => told(shown[transport]))]),
    ),
  ];
}

function told(cell: FaultCell): string {
  if ('absent' in cell) return cell.absent;
  return cell.map(({ file, name }) => (file === undefined ? `\`${name}\`` : `${file}: «${name}»`)).join('; ');
}

function megabytes(bytes = 0): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
