import { announced, type Availability } from '../availability.js';

/** A version of NATS that the tests of this run may use. */
export interface AvailableNats {
  version: string;
  /** Starts servers of the tests' own: they can be given faults. */
  program?: string;
  /** A server that somebody else runs. */
  url?: string;
}

export type NatsAvailability = Availability<AvailableNats>;

export const announcedNats = (): NatsAvailability => announced('nats', 'NATS');
