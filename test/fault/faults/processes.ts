import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import type { FaultCase } from '../fault-case.js';
import type { Entry } from '../journal.js';
import type { WorkerProcess } from '../worker-process.js';

/** Our own processes die, or stop. */
export const processFaults: readonly FaultCase[] = [
  {
    name: 'publisher-killed',
    title: 'The publisher process gets SIGKILL under load',
    queueTypes: ['quorum', 'classic'],
    async run(cell) {
      await cell.underLoad();
      await cell.publisher.tell({ do: 'publish', publish: { count: 200 } });
      await cell.strike(() => cell.publisher.kill());
      cell.publisher = await cell.startPublisher();
      await cell.publisher.tell({ do: 'load', load: { rate: 300, mixed: true } });
      await cell.underLoad();
    },
  },
  {
    name: 'consumer-killed',
    title: 'The consumer process gets SIGKILL in the middle of handlers',
    queueTypes: ['quorum', 'classic'],
    alsoConsumedBy: ['batch', 'receive', 'partitions'],
    async run(cell) {
      await cell.underLoad();
      await waitFor(() => cell.consumer.handling > 2, 'running handlers');
      await cell.strike(() => cell.consumer.kill());
      cell.consumer = await cell.startConsumer();
      await cell.underLoad();
    },
  },
  {
    name: 'poison-message',
    title: 'A message kills its process three times among others and twice alone: it is dead-lettered as «crashed»',
    alsoConsumedBy: ['batch', 'receive', 'partitions'],
    short: ['plain'],
    load: { rate: 40 },
    copies: 4,
    async run(cell) {
      await cell.underLoad();
      const [poison] = await cell.publisher.tell<string[]>({ do: 'publish', publish: { count: 1, does: 'kill' } });
      for (let death = 1; death <= 5; death++) {
        const victim = cell.consumer;
        await cell.strike(() => victim.died(20_000));
        cell.check(startsOf(victim, poison).length === 1, `consumer ${death} did not die of the message`);
        cell.consumer = await cell.startConsumer();
      }
      const crashed = async (): Promise<boolean> =>
        (await cell.admin.deadLetters()).some(({ id, reason }) => id === poison && reason === 'crashed');
      await waitFor(crashed, 'the message among the dead letters', 20_000);
      await cell.underLoad();
    },
  },
  {
    name: 'consumer-sigterm',
    title: 'The consumer process gets SIGTERM under load, while HTTP requests still publish',
    queueTypes: ['quorum', 'classic'],
    alsoConsumedBy: ['batch', 'receive', 'partitions'],
    short: ['plain'],
    worker: { handlerMs: [300, 800] },
    load: { rate: 150 },
    copies: 1,
    async run(cell) {
      await waitFor(() => cell.consumer.handling >= 20, 'a full prefetch', 20_000);
      const { httpPort } = await cell.consumer.status();
      await cell.strike(() => cell.consumer.terminate());
      await waitFor(() => cell.consumer.count('closing') === 1, 'the close to begin');
      await requestsWhileItCloses(cell, httpPort!);
      await cell.consumer.ended();
      const { entries } = cell.consumer;
      const closing = entries.findIndex(({ e }) => e === 'closing');
      const late = entries.slice(closing).filter(({ e }) => e === 'start');
      cell.check(late.length === 0, `${late.length} handlers started after the close began`);
      cell.check(cell.consumer.handling === 0, `${cell.consumer.handling} handlers were cut`);
      await cell.publisher.tell({ do: 'stop-load' });
      cell.consumer = await cell.startConsumer({ handlerMs: [0, 5] });
      await waitFor(() => cell.consumer.count('end') > 20, 'the rest', 20_000);
      const tried = cell.consumer.entries.filter((entry) => entry.e === 'start' && entry.attempt !== 1);
      cell.check(tried.length === 0, `${tried.length} of the rest had an attempt spent`);
    },
  },
  {
    name: 'endless-handler',
    title: 'A handler never ends: it is given up after its timeout, the others go on',
    worker: { handlerTimeout: 600 },
    async run(cell) {
      await cell.underLoad();
      const ids = await cell.strike(() =>
        cell.publisher.tell<string[]>({ do: 'publish', publish: { count: 5, does: 'hang' } }),
      );
      const given = async (): Promise<boolean> => {
        const letters = new Map((await cell.admin.deadLetters()).map(({ id, reason }) => [id, reason]));
        return ids.every((id) => letters.get(id) === 'attempts-exhausted');
      };
      await waitFor(given, 'the messages among the dead letters', 20_000);
      for (const id of ids) {
        const calls = startsOf(cell.consumer, id).map(({ attempt }) => attempt);
        cell.check(calls.join() === '1,2,3,4', `${id} was called with the attempts ${calls.join()}`);
      }
      await cell.underLoad();
    },
  },
];

/** Every request that is accepted publishes; at the latest when the process has ended they are refused. */
async function requestsWhileItCloses(cell: Cell, port: number): Promise<void> {
  let published = 0;
  for (let n = 0; cell.consumer.alive && published < 20; n++) {
    const response = await fetch(`http://127.0.0.1:${port}/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({ id: `request-${n}` }),
    }).catch(() => undefined);
    if (!response) break;
    const answer = await response.text();
    cell.check(response.status === 201, `a request during the close was answered with ${response.status} ${answer}`);
    published++;
  }
  cell.check(published > 0, 'no request was answered during the close');
}

function startsOf(worker: WorkerProcess, message: string): (Entry & { e: 'start' })[] {
  return worker.read().entries.filter((entry) => entry.e === 'start' && entry.id === message) as (Entry & {
    e: 'start';
  })[];
}
