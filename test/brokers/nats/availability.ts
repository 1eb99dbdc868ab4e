import type { SkippedBroker } from '../rabbitmq/availability.js';

/** A version of NATS that the tests of this run may use. */
export interface AvailableNats {
  version: string;
  /** Starts servers of the tests' own: they can be given faults. */
  program?: string;
  /** A server that somebody else runs. */
  url?: string;
}

export interface NatsAvailability {
  available: AvailableNats[];
  skipped: SkippedBroker[];
}

const variable = 'MESSAGING_TEST_NATS';

/** For the processes that run the tests: they inherit the environment. */
export function announceNats(availability: NatsAvailability): void {
  process.env[variable] = JSON.stringify(availability);
}

export function announcedNats(): NatsAvailability {
  const text = process.env[variable];
  if (text !== undefined) return JSON.parse(text) as NatsAvailability;
  return { available: [], skipped: [{ broker: 'NATS', reason: 'the global setup did not run' }] };
}
