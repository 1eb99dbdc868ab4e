import { EventEmitter } from 'node:events';
import { expect, it } from '@jest/globals';
import type { ChannelModel } from 'amqplib';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEnvironment } from '../../../lib/transport/transport.js';
import type { Address } from '../../../lib/transports/rabbitmq/address.js';
import { SupervisedConnection } from '../../../lib/transports/rabbitmq/supervised-connection.js';

/** A broker that always lets in, and the times when it did. */
async function start(): Promise<{
  clock: ManualClock;
  openings: number[];
  connection: SupervisedConnection;
  end: (error?: Error) => void;
}> {
  const clock = new ManualClock();
  const openings: number[] = [];
  let model = new EventEmitter();
  const address: Address = {
    host: 'broker',
    vhost: '/',
    redact: (text) => text,
    open: async () => {
      openings.push(clock.monotonic());
      model = Object.assign(new EventEmitter(), { connection: {} });
      return model as ChannelModel;
    },
  };
  const environment = { clock, random: () => 0.5, reconnect: { initial: 100, max: 30_000, jitter: 0 } };
  const connection = new SupervisedConnection('test', [address], environment as unknown as TransportEnvironment, {
    opened: () => {},
    lost: () => {},
    warning: () => {},
  });
  await connection.start();
  const end = (error?: Error): void => {
    if (error) model.emit('error', error);
    model.emit('close', error);
  };
  return { clock, openings, connection, end };
}

it('the waits grow also where connecting succeeds and each connection ends at once', async () => {
  const { clock, openings, end } = await start();
  for (let n = 0; n < 6; n++) {
    end();
    await clock.advance(60_000 * Number(n === 5) + 100 * 2 ** n);
  }
  const waits = openings.slice(1).map((time, index) => time - openings[index]);
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200]);
});

it('after a connection that has lasted the waits begin anew', async () => {
  const { clock, openings, end } = await start();
  end();
  await clock.advance(100);
  end();
  await clock.advance(200);
  await clock.advance(5_000);
  end();
  await clock.advance(100);
  expect(openings).toHaveLength(4);
});

it('tells what the broker said when it ended the connection, until the next one; a broken socket says nothing', async () => {
  const { clock, connection, end } = await start();
  const reply = Object.assign(new Error('Connection closed: 541 (INTERNAL-ERROR) with message "INTERNAL_ERROR"'), {
    code: 541,
  });
  end(reply);
  expect(connection.endedBy).toBe(reply);
  await clock.advance(100);
  expect(connection.endedBy).toBeUndefined();
  end(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  expect(connection.endedBy).toBeUndefined();
});
