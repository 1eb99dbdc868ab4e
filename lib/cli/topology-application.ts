import type { INestApplicationContext } from '@nestjs/common';
import type { unconnectedApplication } from '../asyncapi/unconnected.js';
import { printable } from '../errors/printable.js';
import { redactCredentials } from '../errors/redact.js';
import type { migrateQueue } from '../topology/queue-migration.js';
import type { applyTopology, planTopology, TopologyOptions } from '../topology/topology-plan.js';
import { APP, withApplication } from './application.js';
import { connectTimeoutOf, TIMEOUT } from './broker-flags.js';
import type { Console } from './command.js';
import { type Flag, type FlagValues, given, textOf } from './flags.js';

/** The entry `nestjs-messaging/topology`. */
interface TopologyEntry {
  readonly unconnectedApplication: typeof unconnectedApplication;
  readonly planTopology: typeof planTopology;
  readonly applyTopology: typeof applyTopology;
  readonly migrateQueue: typeof migrateQueue;
}

export const TOPOLOGY: readonly Flag[] = [
  APP,
  { name: 'connection', value: 'name', what: 'of the application; the unnamed one is «default»', default: 'all' },
  TIMEOUT,
];

export const OPTION_NAMES: Readonly<Record<string, string>> = { connection: '--connection', queue: '--queue' };

/** @throws UsageError, MessagingError */
export function withTopology<T>(
  values: FlagValues,
  console: Console,
  work: (app: INestApplicationContext, entry: TopologyEntry, options: TopologyOptions) => Promise<T>,
): Promise<T> {
  const options = {
    ...given({ connection: textOf(values, 'connection') }),
    timeout: connectTimeoutOf(values),
    onWarning: (text: string) => void console.stderr.write(`${printable(redactCredentials(text))}\n`),
  };
  return withApplication(values, console, 'nestjs-messaging/topology', (app, entry: TopologyEntry) =>
    work(app, entry, options),
  );
}
