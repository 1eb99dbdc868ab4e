import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEvent } from '../../../lib/transport/transport.js';
import { Consumer, type ConsumerOptions } from '../../../lib/transports/rabbitmq/consumer.js';

/** A consumer on a connection that is there, whose declaration fails when it is told to. */
function attaching(): {
  consumer: Consumer;
  warnings: string[];
  clock: ManualClock;
  fail: (error: Error) => Promise<void>;
} {
  const clock = new ManualClock();
  const warnings: string[] = [];
  let reject: (error: Error) => void = () => {};
  const options = {
    queue: 'q',
    connection: {
      current: {},
      isClosed: false,
      reason: '',
      redact: (text: string) => text,
      whenOpen: () => Promise.resolve(),
    },
    environment: {
      clock,
      random: () => 0.5,
      reconnect: { initial: 100, max: 1_000, jitter: 0 },
      onEvent: (event: TransportEvent) => void (event.type === 'warning' && warnings.push(event.message)),
    },
    handlers: { delivery: () => {}, lost: () => {}, state: () => {} },
    declare: () => new Promise<void>((_, no) => (reject = no)),
    ended: () => {},
  };
  return {
    consumer: new Consumer(options as unknown as ConsumerOptions),
    warnings,
    clock,
    fail: async (error) => {
      reject(error);
      await clock.advance(0);
    },
  };
}

it('warns once when it cannot attach', async () => {
  const { consumer, warnings, clock, fail } = attaching();
  consumer.startInBackground();
  await clock.advance(0);
  await fail(new Error('no reply'));
  expect(warnings).toEqual(['Cannot consume from «q», trying again: no reply']);
  await consumer.close();
});

it('does not warn when it is closed while it attaches', async () => {
  const { consumer, warnings, clock, fail } = attaching();
  consumer.startInBackground();
  await clock.advance(0);
  await consumer.close();
  await fail(new Error('Connection closing'));
  expect(warnings).toEqual([]);
});
