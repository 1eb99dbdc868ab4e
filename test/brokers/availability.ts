export interface SkippedBroker {
  broker: string;
  reason: string;
}

/** The versions of a broker that the tests of this run may use, and those that they may not. */
export interface Availability<Broker> {
  available: Broker[];
  skipped: SkippedBroker[];
}

const variableOf = (folder: string) => `MESSAGING_TEST_${folder.toUpperCase()}`;

/** For the processes that run the tests: they inherit the environment. `folder` is the broker's in test/brokers. */
export function announce(folder: string, availability: Availability<unknown>): void {
  process.env[variableOf(folder)] = JSON.stringify(availability);
}

/** What was announced of a broker, whose name for people is `title`. */
export function announced<Broker>(folder: string, title: string): Availability<Broker> {
  const text = process.env[variableOf(folder)];
  if (text !== undefined) return JSON.parse(text) as Availability<Broker>;
  return { available: [], skipped: [{ broker: title, reason: 'the global setup did not run' }] };
}
