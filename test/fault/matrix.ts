import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installRabbit, type RabbitVersion } from '../brokers/rabbitmq/install.js';
import type { RabbitHandle } from '../brokers/rabbitmq/handle.js';
import { RabbitNode } from '../brokers/rabbitmq/node.js';
import { createRunDirectory, removeRunDirectory } from '../brokers/run-directory.js';
import type { Account } from './checker.js';
import { Cell, type CellPlace } from './cell.js';
import type { FaultCase } from './fault-case.js';
import type { ConsumerKind } from './worker/settings.js';

export interface CellResult {
  readonly fault: string;
  readonly version: string;
  readonly queueType: string;
  readonly consumerKind: ConsumerKind;
  readonly seed: number;
  readonly seconds: number;
  readonly account?: Omit<Account, 'copies'>;
  /** Empty when it passed. */
  readonly problems: readonly string[];
}

/** What a fault is run with: queue types with plain consumers, the other ways of consuming on quorum queues. */
export function variantsOf({
  queueTypes = ['quorum'],
  alsoConsumedBy = [],
}: FaultCase): Pick<CellPlace, 'queueType' | 'consumerKind'>[] {
  return [
    ...queueTypes.map((queueType) => ({ queueType, consumerKind: 'plain' as const })),
    ...alsoConsumedBy.map((consumerKind) => ({ queueType: 'quorum' as const, consumerKind })),
  ];
}

/**
 * A node for many cells. What a delay queue could not hand on (its target is full or gone) it tries again after three
 * minutes; here after two seconds.
 */
export async function startNode(version: RabbitVersion): Promise<RabbitNode> {
  const node = await RabbitNode.start(await installRabbit(version));
  await prepareNode(node);
  return node;
}

/** Also after a restart. */
export async function prepareNode(node: RabbitHandle, offeredAgainMs = 2_000): Promise<void> {
  await node.eval(`application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, ${offeredAgainMs})`);
}

/** Runs one cell to its verdict; it does not reject. */
export async function runCell(fault: FaultCase, place: CellPlace): Promise<CellResult> {
  const started = Date.now();
  const cell = new Cell(fault, place);
  let account: Account | undefined;
  try {
    // It holds for queues that are declared from now on.
    if (fault.offeredAgainMs !== undefined) await prepareNode(cell.node, fault.offeredAgainMs);
    await cell.prepare();
    await fault.run(cell);
    account = await cell.finish();
  } catch (error) {
    cell.problems.push(String((error as Error).stack));
    for (const worker of cell.workers)
      if (worker.printed) cell.problems.push(`${worker.name} printed ${worker.printed}`);
  } finally {
    await cell.dispose();
    await heal(place.node);
  }
  const { version, queueType, consumerKind, seed } = place;
  const seconds = (Date.now() - started) / 1_000;
  return { fault: fault.name, version, queueType, consumerKind, seed, seconds, account, problems: cell.problems };
}

/** A cell that failed half-way leaves a node that the next one can use. */
async function heal(node: RabbitNode | undefined): Promise<void> {
  if (!node) return;
  const answers = await node.eval('1').catch(() => '');
  if (answers !== '{ok, 1}') await node.restart();
  await prepareNode(node);
}

/** One line for the console. */
export function lineOf({
  fault,
  version,
  queueType,
  consumerKind,
  seed,
  seconds,
  account,
  problems,
}: CellResult): string {
  const mark = problems.length === 0 ? '✓' : '✗';
  const counts = account
    ? `${account.attempted} attempted, ${account.confirmed} confirmed, ${account.queued} queued, ${account.handled} handled, ` +
      `${account.deadLettered} dead letters, ${account.lost.length} lost, ${account.deleted} deleted, ${account.unexpected.length} unexpected, ` +
      `${account.duplicated} duplicated, ${account.recovered} recovered`
    : 'no account';
  const line = `${mark} ${fault} · ${version} · ${queueType} · ${consumerKind} · seed ${seed} · ${seconds.toFixed(1)} s: ${counts}`;
  return [line, ...problems.map((problem) => `    ${problem}`)].join('\n');
}

/** Calls it with a folder for journals; the brokers it starts have theirs. All are removed at its end. */
export async function inFolders<T>(work: (directory: string) => Promise<T>): Promise<T> {
  createRunDirectory();
  const directory = mkdtempSync(join(tmpdir(), 'nestjs-messaging-fault-'));
  try {
    return await work(directory);
  } finally {
    removeRunDirectory();
    // To look at what the workers wrote.
    if (!process.env.FAULT_KEEP) rmSync(directory, { recursive: true, force: true });
  }
}
