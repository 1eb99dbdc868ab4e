import { expect, test } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { SupervisedConnection } from '../../../lib/transports/kit/supervised-connection.js';
import { NatsDialer } from '../../../lib/transports/nats/connection/dialer.js';
import type { Link } from '../../../lib/transports/nats/connection/link.js';

/** A connection of the application's, which reconnects by itself: the test says when. */
function given(): {
  client: NatsConnection;
  says: (type: string) => void;
  close: () => void;
} {
  const said: object[] = [];
  let wake = (): void => {};
  let close = (): void => {};
  let closed = false;
  const ended = new Promise<void>((resolve) => (close = resolve)).then(() => {
    closed = true;
    wake();
  });
  const client = {
    closed: () => ended,
    isClosed: () => closed,
    flush: async () => {},
    reconnect: async () => {},
    getServer: () => 'server',
    status: async function* () {
      while (!closed) {
        yield* said.splice(0) as never[];
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  } as unknown as NatsConnection;
  return {
    client,
    says: (type) => {
      said.push({ type });
      wake();
    },
    close,
  };
}

function connectedBy(client: NatsConnection): {
  clock: ManualClock;
  told: string[];
  connection: SupervisedConnection<Link>;
} {
  const clock = new ManualClock();
  const told: string[] = [];
  const address = { host: 'server', client, redact: (text: string) => text, open: async () => client };
  const prepare = async (connection: NatsConnection): Promise<Link> => ({ connection }) as Link;
  const environment = { clock, random: () => 0.5, reconnect: { initial: 100, max: 30_000, jitter: 0 } };
  const connection = new SupervisedConnection<Link>(new NatsDialer(address, 'test', clock, prepare), environment, {
    opened: () => void told.push('opened'),
    lost: (reason) => void told.push(`lost: ${reason}`),
    warning: (message) => void told.push(message),
  });
  return { clock, told, connection };
}

test('a connection of the application is lost and found as it says, however long it is away', async () => {
  const { client, says } = given();
  const { clock, told, connection } = connectedBy(client);
  await connection.start();
  says('disconnect');
  await clock.advance(0);
  expect(told).toEqual(['opened', 'lost: disconnected']);
  await clock.advance(600_000);
  expect(told).toEqual(['opened', 'lost: disconnected']);
  says('reconnect');
  await clock.advance(100);
  expect(told).toEqual(['opened', 'lost: disconnected', 'opened']);
  await connection.close();
  expect(client.isClosed()).toBe(false);
});

test('that a connection of the application is closed for good is told, once', async () => {
  const { client, close } = given();
  const { clock, told, connection } = connectedBy(client);
  await connection.start();
  close();
  await clock.advance(300_000);
  expect(told).toEqual([
    'opened',
    'lost: connection closed',
    'Cannot connect to NATS at server: the connection given as «client» is closed for good: nothing is sent or received any more',
  ]);
});

test('a connection of the application is not waited for any more when it is closed while it is away', async () => {
  const { client, says, close } = given();
  const { clock, told, connection } = connectedBy(client);
  await connection.start();
  says('disconnect');
  await clock.advance(1_000);
  close();
  await clock.advance(300_000);
  expect(told.slice(2)).toEqual([expect.stringContaining('is closed for good')]);
});
