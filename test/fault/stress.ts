import { parseArgs } from 'node:util';
import { type RabbitVersion, rabbitVersions } from '../brokers/rabbitmq/install.js';
import { waitFor } from '../brokers/wait-for.js';
import type { Cell } from './cell.js';
import type { FaultCase } from './fault-case.js';
import { type CellResult, inFolders, lineOf, runCell, startNode } from './matrix.js';
import type { WorkerStatus } from './worker/settings.js';

export interface StressResult {
  readonly cell: CellResult;
  /** The publisher's heap at rest after each fault, in bytes. */
  readonly memory: readonly number[];
  readonly hits: readonly string[];
}

/** More than this is not flat: the heap at rest, from the first fault to the last. */
const GROWTH_ALLOWED = 16 * 2 ** 20;

type Hit = (cell: Cell) => Promise<void>;

/** What can happen at any time; each heals itself. */
const hits: Record<string, Hit> = {
  'broker killed': async (cell) => {
    await cell.strike(() => cell.node.kill());
    await cell.expect(cell.publisher, 'disconnected');
    await cell.node.restart();
  },
  'polite close': async (cell) => {
    await cell.strike(() => cell.node.closeConnections('maintenance', cell.vhost));
    await cell.expect(cell.publisher, 'disconnected');
  },
  'connections killed': async (cell) => {
    await cell.strike(() => cell.node.killConnections(cell.vhost));
    await cell.expect(cell.publisher, 'disconnected');
  },
  'sockets reset': async (cell) => {
    await cell.strike(() => {
      cell.gate.reset();
      cell.proxy.reset();
    });
    await cell.expect(cell.publisher, 'disconnected');
  },
  'cut in mid-frame': async (cell) => {
    await cell.strike(() => cell.proxy.cutAfter(cell.random.between(500, 50_000)));
    await cell.expect(cell.publisher, 'disconnected');
  },
  'connections refused': async (cell) => {
    await cell.proxy.refuse(true);
    await cell.strike(() => cell.proxy.reset());
    await cell.expect(cell.publisher, 'queued', 1_000);
    await cell.proxy.refuse(false);
  },
  'broker hangs': async (cell) => {
    await cell.strike(() => cell.node.suspend());
    await cell.expect(cell.publisher, 'disconnected').finally(() => cell.node.resume());
  },
  'memory alarm': async (cell) => {
    await cell.strike(() => cell.node.memoryAlarm(true));
    await cell.expect(cell.publisher, 'queued', 500).finally(() => cell.node.memoryAlarm(false));
  },
  'confirms lost': async (cell) => {
    await cell.strike(() => cell.proxy.dropFromBroker(true));
    await cell.expect(cell.publisher, 'queued', 100);
    cell.proxy.dropFromBroker(false);
    cell.proxy.reset();
  },
  'consumers cancelled': async (cell) => {
    await cell.strike(() => cell.gate.cancelConsumers());
    await cell.expect(cell.consumer, 'consumer-stopped');
  },
  'bad ack': async (cell) => {
    await cell.strike(() => cell.consumer.tell({ do: 'bad-ack' }));
    await cell.expect(cell.consumer, 'consumer-stopped');
  },
  'consumer killed': async (cell) => {
    await cell.strike(() => cell.consumer.kill());
    cell.consumer = await cell.startConsumer();
  },
  'consumer stopped': async (cell) => {
    await cell.strike(() => cell.consumer.close());
    cell.consumer = await cell.startConsumer();
  },
};

function stressCase(faults: number, rate: number, report: { memory: number[]; hits: string[] }): FaultCase {
  return {
    name: 'stress',
    title: 'Many messages through many faults',
    worker: { handlerMs: [0, 3], prefetch: 200, confirmTimeout: 2_000, heartbeat: 2, maxQueued: 100_000 },
    load: false,
    async run(cell) {
      const { many } = cell.place;
      // Each of them once, then again.
      const order: string[] = [];
      await cell.publisher.tell({ do: 'load', load: { rate, count: many, mixed: true } });
      for (let n = 1; n <= faults; n++) {
        const due = Math.floor((many * n) / (faults + 1));
        await waitFor(() => cell.publisher.count('attempt') >= due, `attempt ${due}`, 600_000);
        if (order.length === 0) order.push(...cell.random.shuffled(Object.keys(hits)));
        const name = order.pop()!;
        report.hits.push(name);
        await hits[name](cell);
        await cell.recovered();
        report.memory.push((await atRest(cell)).memory.heapUsed);
        const { length } = report.memory;
        console.log(`  ${n} of ${faults}: ${name}; heap ${(report.memory[length - 1] / 2 ** 20).toFixed(1)} MB`);
      }
      await waitFor(() => cell.publisher.count('attempt') >= many, 'the last attempt', 600_000);
      await waitFor(async () => (await cell.publisher.status()).unsettled === 0, 'the last receipt', 300_000);
      const growth = report.memory.at(-1)! - report.memory[0];
      cell.check(growth < GROWTH_ALLOWED, `the publisher's heap grew by ${(growth / 2 ** 20).toFixed(1)} MB`);
    },
  };
}

/** With an empty retry queue, after a garbage collection. */
async function atRest({ publisher }: Cell): Promise<WorkerStatus> {
  await waitFor(async () => (await publisher.status()).queued === 0, 'the retry queue to drain', 120_000);
  await publisher.tell({ do: 'collect-garbage' });
  return publisher.status();
}

const usage = `npm run test:stress -- [options]
  --rabbitmq <version>   default ${rabbitVersions.at(-1)}
  --count <number>       messages; default 200000
  --faults <number>      random faults on the way; default 20
  --rate <number>        messages a second; default 1500
  --seed <number>        default: a new one, printed
  --write                write the result into docs/faults.md`;

export async function stress(compiled: string, args: readonly string[]): Promise<{ results: CellResult[] }> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rabbitmq: { type: 'string', default: rabbitVersions.at(-1) },
      count: { type: 'string', default: '200000' },
      faults: { type: 'string', default: '20' },
      rate: { type: 'string', default: '1500' },
      seed: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return { results: [] };
  }
  const version = rabbitVersions.find((one) => one === values.rabbitmq);
  if (!version) throw new Error(`--rabbitmq takes ${rabbitVersions.join(' or ')}`);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
  console.log(`seed ${seed}`);
  const report = { memory: [] as number[], hits: [] as string[] };
  const fault = stressCase(Number(values.faults), Number(values.rate), report);
  const cell = await inFolders((directory) =>
    runStress(fault, version, { compiled, directory, seed, many: Number(values.count) }),
  );
  console.log(lineOf(cell));
  if (values.write) {
    const { writeReport } = await import('./report.js');
    writeReport({ stress: [{ cell, ...report }] });
  }
  return { results: [cell] };
}

async function runStress(
  fault: FaultCase,
  version: RabbitVersion,
  place: { compiled: string; directory: string; seed: number; many: number },
): Promise<CellResult> {
  const node = await startNode(version);
  try {
    return await runCell(fault, {
      ...place,
      version: node.version,
      node,
      queueType: 'quorum',
      consumerKind: 'plain',
      execArgv: ['--expose-gc'],
    });
  } finally {
    await node.stop();
  }
}
