import type { INestApplicationContext } from '@nestjs/common';
import { systemClock } from '../clock/clock.js';
import { InvalidOptionError, UnsupportedError } from '../errors/configuration-errors.js';
import { DEFAULT_CONNECTION } from '../messaging.tokens.js';
import type { QueueMigration } from '../transport/provisioning.js';
import { type ConnectionTopologies, topologiesOf } from './application-topologies.js';
import { moveMessages } from './move-messages.js';
import { connected, type TopologyOptions } from './topology-plan.js';

export interface MigrationOptions extends TopologyOptions {
  /** Its messages are kept under its name. */
  readonly queue: string;
  /** True: nothing is done, and the steps are told. Default false. */
  readonly dryRun?: boolean;
  /** Called with each step in words, before it is done. */
  readonly onStep?: (what: string) => void;
}

/** What has become of a queue. */
export interface MigratedQueue {
  readonly queue: string;
  /** False: it was as it is wanted already. */
  readonly changed: boolean;
  /** What was done, or would be. */
  readonly steps: readonly string[];
  /** How often a message was moved. */
  readonly moved: number;
}

/**
 * Makes a queue what the application wants of it, and keeps what is in it. Nobody may consume it meanwhile. Who was killed
 * at it is followed by whoever calls this again.
 * @throws TopologyMismatchError while it is consumed; UnsupportedError where it cannot be done
 */
export async function migrateQueue(app: INestApplicationContext, options: MigrationOptions): Promise<MigratedQueue> {
  const { queue, connection } = options;
  if (typeof queue !== 'string' || queue === '') throw new InvalidOptionError('queue', queue, 'the name of a queue');
  const all = topologiesOf(app, connection);
  const one = all.length === 1 ? all[0] : all.find((each) => each.connection === DEFAULT_CONNECTION);
  if (!one) throw new InvalidOptionError('connection', connection, all.map((each) => each.connection).join(', '));
  return connected(one, options, async () => {
    const { provisioning, system } = one.transport;
    if (!provisioning?.migration)
      throw new UnsupportedError(`A queue of ${system} has nothing that messages have to be moved for`);
    const migration = await provisioning.migration(one.topologies, queue);
    if (options.dryRun) return dryRun(migration, options);
    await migration.begin();
    try {
      return await run(migration, one, options);
    } finally {
      await migration.end();
    }
  });
}

async function run(
  migration: QueueMigration,
  { transport }: ConnectionTopologies,
  { queue, onStep = () => {}, onWarning }: MigrationOptions,
): Promise<MigratedQueue> {
  const steps: string[] = [];
  let moved = 0;
  for (let step = await migration.next(); step; step = await migration.next()) {
    if (steps.length === 0) warn(migration, onWarning);
    steps.push(step.what);
    onStep(step.what);
    if (step.move) moved += await moveMessages(transport, { ...step.move, home: queue }, systemClock);
    else await step.act?.();
  }
  return { queue, changed: steps.length > 0, steps, moved };
}

async function dryRun(migration: QueueMigration, { queue, onWarning }: MigrationOptions): Promise<MigratedQueue> {
  const changed = (await migration.next()) !== undefined;
  if (changed) warn(migration, onWarning);
  return { queue, changed, steps: changed ? migration.outline : [], moved: 0 };
}

function warn({ warnings = [] }: QueueMigration, onWarning: MigrationOptions['onWarning'] = () => {}): void {
  for (const warning of warnings) onWarning(warning);
}
