import { expect, test } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEnvironment } from '../../../lib/transport/transport.js';
import type { Address } from '../../../lib/transports/nats/address.js';
import type { Link } from '../../../lib/transports/nats/link.js';
import { SupervisedConnection } from '../../../lib/transports/nats/supervised-connection.js';

test('the waits grow also where connecting succeeds and each connection ends at once, and begin anew after one that lasted', async () => {
  const clock = new ManualClock();
  const openings: number[] = [];
  let end = (): void => {};
  const address = {
    host: 'server',
    redact: (text: string) => text,
    open: async () => {
      openings.push(clock.monotonic());
      const closed = new Promise<void>((resolve) => (end = resolve));
      return {
        closed: () => closed,
        isClosed: () => false,
        status: async function* () {},
      } as unknown as NatsConnection;
    },
  } as unknown as Address;
  const environment = { clock, random: () => 0.5, reconnect: { initial: 100, max: 30_000, jitter: 0 } };
  const connection = new SupervisedConnection('test', address, environment as unknown as TransportEnvironment, {
    prepare: async (opened) => ({ connection: opened }) as Link,
    opened: () => {},
    lost: () => {},
    warning: () => {},
  });
  await connection.start();
  for (const [lasted, wait] of [
    [0, 100],
    [0, 200],
    [4_000, 400],
    [5_000, 100],
  ]) {
    await clock.advance(lasted);
    end();
    await clock.advance(0);
    await clock.advance(wait - 1);
    const before = openings.length;
    await clock.advance(1);
    expect(openings).toHaveLength(before + 1);
  }
});
