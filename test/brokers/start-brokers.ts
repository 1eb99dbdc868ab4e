import { announceKafka } from './kafka/availability.js';
import { provideKafka } from './kafka/provide.js';
import { announceNats } from './nats/availability.js';
import { provideNats } from './nats/provide.js';
import { announce, type SkippedBroker } from './rabbitmq/availability.js';
import { provideRabbit } from './rabbitmq/provide.js';
import { createRunDirectory, removeRunDirectory } from './run-directory.js';

/** Starts what there is, tells the tests, and gives the function that ends it. */
export async function startBrokers(): Promise<() => Promise<void>> {
  createRunDirectory();
  const [rabbit, nats, kafka] = await Promise.all([provideRabbit(), provideNats(), provideKafka()]);
  const skipped = [...rabbit.skipped, ...nats.skipped, ...kafka.skipped];
  const stop = async () => {
    await Promise.all([rabbit.stop(), nats.stop()]);
    removeRunDirectory();
  };
  if (skipped.length > 0 && process.env.REQUIRE_BROKERS === '1') {
    await stop();
    throw new Error(`REQUIRE_BROKERS=1, but:\n${list(skipped)}`);
  }
  announce(rabbit);
  announceNats(nats);
  announceKafka(kafka);
  return async () => {
    await stop();
    if (skipped.length > 0) warn(skipped);
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
