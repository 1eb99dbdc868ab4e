import { parseArgs } from 'node:util';
import { type RabbitVersion, rabbitVersions, reasonAgainstInstall } from '../brokers/rabbitmq/install.js';
import type { CellPlace } from './cell.js';
import { Cluster } from './cluster.js';
import type { FaultCase } from './fault-case.js';
import { faults } from './faults/all.js';
import { type CellResult, inFolders, lineOf, prepareNode, runCell, startNode, variantsOf } from './matrix.js';
import { writeReport } from './report.js';
import { consumerKinds } from './worker/settings.js';

const usage = `npm run test:fault -- [part of a fault's name …] [options]
  --rabbitmq <version>   only this version (${rabbitVersions.join(', ')})
  --consumer <kind>      only this way of consuming (${consumerKinds.join(', ')})
  --seed <number>        the seed of all that is random; default: a new one, printed
  --runs <number>        how often each cell is run, with seeds that follow each other; default 1
  --many <number>        messages of the cells that are about many; default 10000
  --write                write docs/faults.md
  --list                 only list the faults`;

/** The command line: the whole matrix, or the part that is asked for. Gives what was run. */
export async function main(compiled: string, args: readonly string[]): Promise<{ results: CellResult[] }> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rabbitmq: { type: 'string' },
      consumer: { type: 'string' },
      seed: { type: 'string' },
      runs: { type: 'string', default: '1' },
      many: { type: 'string', default: '10000' },
      write: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) console.log(usage);
  if (values.list) for (const { name, title } of faults) console.log(`${name.padEnd(24)} ${title}`);
  if (values.help || values.list) return { results: [] };

  const chosen = faults.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  );
  if (chosen.length === 0) throw new Error(`No fault is called «${positionals.join(' ')}»`);
  const { consumer } = values;
  if (consumer !== undefined && !consumerKinds.some((kind) => kind === consumer))
    throw new Error(`--consumer takes ${consumerKinds.join(', ')}, not «${consumer}»`);
  const impossible = await reasonAgainstInstall();
  if (impossible !== undefined) throw new Error(`The matrix needs RabbitMQ nodes of its own: ${impossible}`);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
  console.log(`seed ${seed}`);
  const results: CellResult[] = [];
  await inFolders(async (directory) => {
    const common = { compiled, directory, many: Number(values.many), seed };
    const isWanted = (kind: string): boolean => consumer === undefined || kind === consumer;
    for (const version of rabbitVersions) {
      if (values.rabbitmq !== undefined && values.rabbitmq !== version) continue;
      for (const kind of ['node', 'cluster'] as const) {
        const cells = chosen
          .filter(({ on = 'node' }) => on === kind)
          .flatMap((fault) => variantsOf(fault).map((variant) => ({ fault, variant })))
          .filter(({ variant }) => isWanted(variant.consumerKind));
        if (cells.length > 0) results.push(...(await runOn(kind, version, cells, common, Number(values.runs))));
      }
    }
  });
  if (values.write) writeReport({ cells: results });
  return { results };
}

async function startCluster(version: RabbitVersion): Promise<Cluster> {
  const cluster = await Cluster.start(version);
  for (const member of cluster.members) await prepareNode(member);
  return cluster;
}

type Common = Pick<CellPlace, 'compiled' | 'directory' | 'many' | 'seed'>;

interface CellChoice {
  readonly fault: FaultCase;
  readonly variant: ReturnType<typeof variantsOf>[number];
}

async function runOn(
  kind: 'node' | 'cluster',
  wanted: RabbitVersion,
  cells: readonly CellChoice[],
  common: Common,
  runs: number,
): Promise<CellResult[]> {
  const broker = kind === 'node' ? { node: await startNode(wanted) } : { cluster: await startCluster(wanted) };
  const { version } = broker.node ?? broker.cluster.members[0];
  const results: CellResult[] = [];
  try {
    for (const { fault, variant } of cells) {
      for (let run = 0; run < runs; run++) {
        const result = await runCell(fault, { ...common, ...broker, ...variant, version, seed: common.seed + run });
        console.log(lineOf(result));
        results.push(result);
      }
    }
  } finally {
    await (broker.node ?? broker.cluster)?.stop();
  }
  return results;
}
