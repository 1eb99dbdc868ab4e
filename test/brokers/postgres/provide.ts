import { Client } from 'pg';
import { dockerAnswers, startService, stopCompose } from '../compose.js';
import { reasonAgainstDebianRoots } from '../debian-root.js';
import type { SkippedBroker } from '../availability.js';
import { reasonNotSelected, selectedVersions } from '../selection.js';
import type { AvailablePostgres, PostgresAvailability } from './availability.js';
import { installPostgres, postgresVersions, type PostgresVersion } from './install.js';

export interface ProvidedPostgres extends PostgresAvailability {
  stop(): Promise<void>;
}

/**
 * Not among TEST_BROKERS → nothing; TEST_POSTGRES_URL → that server alone; else the newest version, or those
 * of TEST_POSTGRES_VERSIONS: the program where it can be installed, of which each test file starts servers of its own; a
 * container where there is an engine.
 */
export async function provide(): Promise<ProvidedPostgres> {
  const unwanted = reasonNotSelected('postgres');
  if (unwanted !== undefined) return nothing(unwanted);
  const url = process.env.TEST_POSTGRES_URL;
  if (!url) return provideVersions();
  try {
    return { available: [await external(url)], skipped: [], stop: async () => undefined };
  } catch (error) {
    return nothing(`TEST_POSTGRES_URL: ${(error as Error).message}`);
  }
}

async function provideVersions(): Promise<ProvidedPostgres> {
  const versions = selectedVersions('TEST_POSTGRES_VERSIONS', postgresVersions);
  const impossible = await reasonAgainstDebianRoots();
  const docker = impossible !== undefined && (await dockerAnswers());
  const skipped: SkippedBroker[] = [];

  const provideVersion = async (version: PostgresVersion): Promise<AvailablePostgres | undefined> => {
    try {
      if (docker) return await byCompose(version);
      if (impossible !== undefined) throw new Error(`${impossible}, no container engine, no TEST_POSTGRES_URL`);
      return await installPostgres(version);
    } catch (error) {
      skipped.push({ broker: `PostgreSQL ${version}`, reason: (error as Error).message });
      return undefined;
    }
  };

  const provided = await Promise.all(versions.map(provideVersion));
  return {
    available: provided.filter((postgres) => postgres !== undefined),
    skipped,
    stop: async () => (docker ? stopCompose() : undefined),
  };
}

async function byCompose(version: PostgresVersion): Promise<AvailablePostgres> {
  const address = await startService(`postgres-${version}`);
  return external(`postgres://postgres:test@${await address(5432)}/postgres`);
}

async function external(url: string): Promise<AvailablePostgres> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ server_version: string }>('show server_version');
  await client.end();
  return { version: rows[0].server_version.split(' ')[0], url };
}

function nothing(reason: string): ProvidedPostgres {
  return { available: [], skipped: [{ broker: 'PostgreSQL', reason }], stop: async () => undefined };
}
