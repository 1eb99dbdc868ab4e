import { reasonNotSelected } from '../selection.js';
import type { KafkaAvailability } from './availability.js';
import { installKafka, kafkaVersion } from './install.js';

/**
 * Not among TEST_BROKERS → nothing; TEST_KAFKA_URL (`host:port`) → that broker alone; else the version of pom.xml, of which
 * each test file starts a node of its own, where there are a JRE and Maven.
 */
export async function provide(): Promise<KafkaAvailability> {
  const unwanted = reasonNotSelected('kafka');
  if (unwanted !== undefined) return nothing(unwanted);
  const url = process.env.TEST_KAFKA_URL;
  if (url) return { available: [{ version: 'of TEST_KAFKA_URL', url: url.replace(/^kafka:\/\//, '') }], skipped: [] };
  try {
    return { available: [{ version: kafkaVersion, jars: await installKafka() }], skipped: [] };
  } catch (error) {
    return nothing((error as Error).message);
  }
}

function nothing(reason: string): KafkaAvailability {
  return { available: [], skipped: [{ broker: 'Kafka', reason }] };
}
