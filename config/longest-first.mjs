import Sequencer from '@jest/test-sequencer';

/** Seconds that a file of such a folder takes, where no earlier run tells. */
const typical = {
  contract: 60,
  fault: 60,
  brokers: 30,
  rabbitmq: 20,
  nats: 15,
  e2e: 15,
  'dead-letters': 10,
  docs: 10,
  unit: 0.5,
};

/** The longest files first, also in the first run: else a worker that took one last keeps the others waiting. */
export default class LongestFirst extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests); // tells durations
    const seconds = ({ path, duration }) =>
      duration === undefined ? (typical[/\/test\/([^/]+)\//.exec(path)?.[1]] ?? 5) : duration / 1_000;
    return [...sorted].sort((one, other) => seconds(other) - seconds(one));
  }
}
