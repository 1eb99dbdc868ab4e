import { announced, type Availability } from '../availability.js';

/** The Kafka that the tests of this run may use. */
export interface AvailableKafka {
  version: string;
  /** The folder with the jars: nodes of the tests' own can be started, and killed. */
  jars?: string;
  /** `host:port` of a broker that somebody else runs. */
  url?: string;
}

export type KafkaAvailability = Availability<AvailableKafka>;

export const announcedKafka = (): KafkaAvailability => announced('kafka', 'Kafka');
