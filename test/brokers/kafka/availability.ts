import type { SkippedBroker } from '../rabbitmq/availability.js';

/** The Kafka that the tests of this run may use. */
export interface AvailableKafka {
  version: string;
  /** The folder with the jars: nodes of the tests' own can be started, and killed. */
  jars?: string;
  /** `host:port` of a broker that somebody else runs. */
  url?: string;
}

export interface KafkaAvailability {
  available: AvailableKafka[];
  skipped: SkippedBroker[];
}

const variable = 'MESSAGING_TEST_KAFKA';

/** For the processes that run the tests: they inherit the environment. */
export function announceKafka(availability: KafkaAvailability): void {
  process.env[variable] = JSON.stringify(availability);
}

export function announcedKafka(): KafkaAvailability {
  const text = process.env[variable];
  if (text !== undefined) return JSON.parse(text) as KafkaAvailability;
  return { available: [], skipped: [{ broker: 'Kafka', reason: 'the global setup did not run' }] };
}
