import { expect, test } from '@jest/globals';
import type { ConsumerInfo } from '@nats-io/jetstream';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { isUnattended } from '../../../lib/transports/nats/topology/attendance.js';
import type { Link } from '../../../lib/transports/nats/connection/link.js';

const info = (num_waiting: number, num_ack_pending = 0): ConsumerInfo =>
  ({ stream_name: 'events', name: 'q', num_waiting, num_ack_pending }) as ConsumerInfo;

/** The result, the looks being those that come after the first. */
async function unattended(first: ConsumerInfo, ...looks: ConsumerInfo[]): Promise<{ result: boolean; asked: number }> {
  const clock = new ManualClock();
  let asked = 0;
  const manager = { consumers: { info: async () => Promise.resolve(looks[asked++]) } };
  let settled = false;
  const result = isUnattended({ manager } as unknown as Link, first, clock).finally(() => (settled = true));
  while (!settled) await clock.advance(100);
  return { result: await result, asked };
}

test('a queue is unattended when nobody asks for its messages at three looks', async () => {
  expect(await unattended(info(0), info(0), info(0))).toEqual({ result: true, asked: 2 });
});

test.each([
  ['asks at the second look', [info(0), info(1)], 1],
  ['asks at the third look', [info(0), info(0), info(1)], 2],
  ['has messages at the second look', [info(0), info(0, 3)], 1],
  ['asks at the first look, without another', [info(1)], 0],
] as const)('a queue is attended by a process that %s', async (_, [first, ...looks], asked) => {
  expect(await unattended(first, ...looks)).toEqual({ result: false, asked });
});
