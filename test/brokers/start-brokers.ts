import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { announce, type Availability, type SkippedBroker } from './availability.js';
import { createRunDirectory, removeRunDirectory } from './run-directory.js';

/** What `provide` gives, in the `provide.ts` of each broker's folder here. */
interface Provided extends Availability<unknown> {
  stop?(): Promise<void>;
}

/** Starts what there is, tells the tests, and gives the function that ends it. */
export async function startBrokers(): Promise<() => Promise<void>> {
  createRunDirectory();
  const folders = readdirSync(__dirname).filter((name) => existsSync(join(__dirname, name, 'provide.ts')));
  const brokers = await Promise.all(folders.map(async (folder) => ({ folder, ...(await provide(folder)) })));
  const skipped = brokers.flatMap((broker) => broker.skipped);
  const stop = async () => {
    await Promise.all(brokers.map(async (broker) => broker.stop?.()));
    removeRunDirectory();
  };
  if (skipped.length > 0 && process.env.REQUIRE_BROKERS === '1') {
    await stop();
    throw new Error(`REQUIRE_BROKERS=1, but:\n${list(skipped)}`);
  }
  for (const { folder, available, skipped } of brokers) announce(folder, { available, skipped });
  return async () => {
    await stop();
    if (skipped.length > 0) warn(skipped);
  };
}

async function provide(folder: string): Promise<Provided> {
  const module = (await import(`./${folder}/provide.js`)) as { provide?: () => Promise<Provided> };
  if (!module.provide) throw new Error(`test/brokers/${folder}/provide.ts has to export «provide»`);
  return module.provide();
}

function warn(skipped: SkippedBroker[]): void {
  const line = '='.repeat(80);
  process.stderr.write(`\n${line}\nSKIPPED BROKERS: ${skipped.length}\n${list(skipped)}\n`);
  process.stderr.write(`Tests against them did not run.\n${line}\n`);
}

function list(skipped: SkippedBroker[]): string {
  return skipped.map(({ broker, reason }) => `  ${broker}: ${reason}`).join('\n');
}
