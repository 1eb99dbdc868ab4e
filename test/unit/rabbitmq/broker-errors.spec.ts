import { expect, test } from '@jest/globals';
import { topologyMisconfiguration } from '../../../lib/transports/rabbitmq/connection/broker-errors.js';

const answered = (text: string) =>
  Object.assign(new Error(`Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "${text}"`), {
    code: 406,
  });
const judged = (text: string) => topologyMisconfiguration(answered(text), 'the queue «q»', (clean) => clean);

test.each([
  "PRECONDITION_FAILED - cannot declare queue 'q': queue limit in vhost '/' (12) is reached",
  "PRECONDITION_FAILED - cannot declare queue 'q': queue limit in cluster (12) is reached",
  "PRECONDITION_FAILED - cannot declare exchange 'e': exchange limit of 4 is reached",
])('a limit that is reached passes: %s', (text) => {
  expect(judged(text)).toBeUndefined();
});

test('other arguments do not', () => {
  const text =
    "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received '2' but current is '3'";
  expect(judged(text)).toMatchObject({ code: 'TOPOLOGY_MISMATCH', retryable: false });
});
