import { dockerAnswers, startService, stopCompose } from '../compose.js';
import { reasonAgainstDebianRoots } from '../debian-root.js';
import type { SkippedBroker } from '../availability.js';
import { reasonNotSelected, selectedVersions } from '../selection.js';
import type { AvailableNats, NatsAvailability } from './availability.js';
import { installNats, natsVersions, type NatsVersion } from './install.js';
import { serverInfo } from './server-info.js';

export interface ProvidedNats extends NatsAvailability {
  stop(): Promise<void>;
}

/**
 * Not among TEST_BROKERS → nothing; TEST_NATS_URL → that server alone; else the newest version,
 * or those of TEST_NATS_VERSIONS: the program where it can be installed, of which each test file starts servers of its
 * own; a container where there is an engine.
 */
export async function provide(): Promise<ProvidedNats> {
  const unwanted = reasonNotSelected('nats');
  if (unwanted !== undefined) return nothing(unwanted);
  const url = process.env.TEST_NATS_URL;
  if (!url) return provideVersions();
  try {
    return { available: [await external(url)], skipped: [], stop: async () => undefined };
  } catch (error) {
    return nothing(`TEST_NATS_URL: ${(error as Error).message}`);
  }
}

async function provideVersions(): Promise<ProvidedNats> {
  const versions = selectedVersions('TEST_NATS_VERSIONS', natsVersions);
  const impossible = await reasonAgainstDebianRoots();
  const docker = impossible !== undefined && (await dockerAnswers());
  const skipped: SkippedBroker[] = [];

  const provideOne = async (version: NatsVersion): Promise<AvailableNats | undefined> => {
    try {
      if (docker) return await byCompose(version);
      if (impossible !== undefined) throw new Error(`${impossible}, no container engine, no TEST_NATS_URL`);
      return await installNats(version);
    } catch (error) {
      skipped.push({ broker: `NATS ${version}`, reason: (error as Error).message });
      return undefined;
    }
  };

  const provided = await Promise.all(versions.map(provideOne));
  return {
    available: provided.filter((nats) => nats !== undefined),
    skipped,
    stop: async () => (docker ? stopCompose() : undefined),
  };
}

async function byCompose(version: NatsVersion): Promise<AvailableNats> {
  const address = await startService(`nats-${version.replaceAll('.', '-')}`);
  return external(`nats://${await address(4222)}`);
}

async function external(url: string): Promise<AvailableNats> {
  const { hostname, port } = new URL(url);
  const { version } = await serverInfo(Number(port) || 4222, hostname);
  return { version, url };
}

function nothing(reason: string): ProvidedNats {
  return { available: [], skipped: [{ broker: 'NATS', reason }], stop: async () => undefined };
}
