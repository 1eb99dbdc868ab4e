import { dockerAnswers, stopCompose } from '../compose.js';
import { reasonNotSelected, selectedVersions } from '../selection.js';
import type { SkippedBroker } from '../availability.js';
import type { AvailableRabbit, RabbitAvailability } from './availability.js';
import { startByCompose } from './compose.js';
import { externalRabbit } from './external.js';
import { installRabbit, rabbitVersions, type RabbitVersion, reasonAgainstInstall } from './install.js';
import { RabbitNode } from './node.js';

export interface ProvidedRabbit extends RabbitAvailability {
  stop(): Promise<void>;
}

/**
 * Not among TEST_BROKERS → nothing; TEST_RABBITMQ_URL → that broker alone; else the newest version, or those of
 * TEST_RABBITMQ_VERSIONS, as nodes of this run where they can be installed, in containers where
 * there is an engine. Nodes may still be starting.
 */
export async function provide(): Promise<ProvidedRabbit> {
  const { TEST_RABBITMQ_URL, TEST_RABBITMQ_MANAGEMENT_URL } = process.env;
  const unwanted = reasonNotSelected('rabbitmq');
  if (unwanted !== undefined) return nothing(unwanted);
  if (TEST_RABBITMQ_URL) {
    try {
      return onlyAvailable([await externalRabbit(TEST_RABBITMQ_URL, TEST_RABBITMQ_MANAGEMENT_URL)]);
    } catch (error) {
      return nothing(`TEST_RABBITMQ_URL: ${(error as Error).message}`);
    }
  }
  return provideVersions();
}

async function provideVersions(): Promise<ProvidedRabbit> {
  const versions = selectedVersions('TEST_RABBITMQ_VERSIONS', rabbitVersions);
  const impossible = await reasonAgainstInstall();
  const docker = impossible !== undefined && (await dockerAnswers());
  const stops: (() => Promise<void>)[] = docker ? [stopCompose] : [];
  const skipped: SkippedBroker[] = [];

  const provideOne = async (version: RabbitVersion): Promise<AvailableRabbit | undefined> => {
    try {
      if (docker) return await startByCompose(version);
      if (impossible !== undefined) throw new Error(`${impossible}, no container engine, no TEST_RABBITMQ_URL`);
      const node = await RabbitNode.launch(await installRabbit(version));
      stops.push(() => node.stop());
      return { version: node.version, url: node.url(), node: node.toJSON() };
    } catch (error) {
      skipped.push({ broker: `RabbitMQ ${version}`, reason: (error as Error).message });
      return undefined;
    }
  };

  const provided = await Promise.all(versions.map(provideOne));
  return {
    available: provided.filter((rabbit) => rabbit !== undefined),
    skipped,
    stop: async () => void (await Promise.all(stops.map((stop) => stop()))),
  };
}

function onlyAvailable(available: AvailableRabbit[]): ProvidedRabbit {
  return { available, skipped: [], stop: async () => undefined };
}

function nothing(reason: string): ProvidedRabbit {
  return { available: [], skipped: [{ broker: 'RabbitMQ', reason }], stop: async () => undefined };
}
