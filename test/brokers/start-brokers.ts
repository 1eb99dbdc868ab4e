import { announce, type SkippedBroker } from './rabbitmq/availability.js';
import { provideRabbit } from './rabbitmq/provide.js';
import { createRunDirectory, removeRunDirectory } from './run-directory.js';

/** Starts what there is, tells the tests, and gives the function that ends it. */
export async function startBrokers(): Promise<() => Promise<void>> {
  createRunDirectory();
  const rabbit = await provideRabbit();
  const stop = async () => {
    await rabbit.stop();
    removeRunDirectory();
  };
  if (rabbit.skipped.length > 0 && process.env.REQUIRE_BROKERS === '1') {
    await stop();
    throw new Error(`REQUIRE_BROKERS=1, but:\n${list(rabbit.skipped)}`);
  }
  announce(rabbit);
  return async () => {
    await stop();
    if (rabbit.skipped.length > 0) warn(rabbit.skipped);
  };
}

function warn(skipped: SkippedBroker[]): void {
  const line = '='.repeat(80);
  process.stderr.write(`\n${line}\nSKIPPED BROKERS: ${skipped.length}\n${list(skipped)}\n`);
  process.stderr.write(`Tests against them did not run.\n${line}\n`);
}

function list(skipped: SkippedBroker[]): string {
  return skipped.map(({ broker, reason }) => `  ${broker}: ${reason}`).join('\n');
}
