import type { RabbitDescription } from './handle.js';

/** A broker that the tests of this run may use. */
export interface AvailableRabbit {
  version: string;
  url: string;
  /** Where it is a node of this run: it can be given faults. */
  node?: RabbitDescription;
  /** Where it has the management plugin: makes vhosts. */
  managementUrl?: string;
}

export interface SkippedBroker {
  broker: string;
  reason: string;
}

export interface RabbitAvailability {
  available: AvailableRabbit[];
  skipped: SkippedBroker[];
}

const variable = 'MESSAGING_TEST_RABBITMQ';

/** For the processes that run the tests: they inherit the environment. */
export function announce(availability: RabbitAvailability): void {
  process.env[variable] = JSON.stringify(availability);
}

export function announced(): RabbitAvailability {
  const text = process.env[variable];
  if (text !== undefined) return JSON.parse(text) as RabbitAvailability;
  return { available: [], skipped: [{ broker: 'RabbitMQ', reason: 'the global setup did not run' }] };
}
