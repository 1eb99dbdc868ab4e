import { EventEmitter } from 'node:events';
import { expect, it } from '@jest/globals';
import type { ChannelModel } from 'amqplib';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEnvironment } from '../../../lib/transport/transport.js';
import type { Address } from '../../../lib/transports/rabbitmq/connection/address.js';
import { RabbitmqConnection } from '../../../lib/transports/rabbitmq/connection/connection.js';

/** A connection to a broker that always lets in. */
async function start(): Promise<{
  clock: ManualClock;
  connection: RabbitmqConnection;
  end: (error?: Error) => void;
}> {
  const clock = new ManualClock();
  let model = new EventEmitter();
  const address: Address = {
    host: 'broker',
    vhost: '/',
    secure: false,
    redact: (text) => text,
    open: async () => {
      model = Object.assign(new EventEmitter(), { connection: {} });
      return model as ChannelModel;
    },
  };
  const environment = { clock, random: () => 0.5, reconnect: { initial: 100, max: 30_000, jitter: 0 } };
  const connection = new RabbitmqConnection('test', [address], environment as unknown as TransportEnvironment, {
    opened: () => {},
    lost: () => {},
    warning: () => {},
  });
  await connection.start();
  const end = (error?: Error): void => {
    if (error) model.emit('error', error);
    model.emit('close', error);
  };
  return { clock, connection, end };
}

it('tells whether the broker ended the connection over what it was sent, until the next one', async () => {
  const { clock, connection, end } = await start();
  const reply = (code: number, text: string): Error =>
    Object.assign(new Error(`Connection closed: ${code} (${text}) with message "${text}"`), { code });
  end(reply(541, 'INTERNAL_ERROR'));
  expect([connection.ending, connection.reason, connection.isSuspicious]).toEqual(['refused', 'INTERNAL_ERROR', true]);
  await clock.advance(100);
  expect([connection.ending, connection.isSuspicious]).toEqual([undefined, false]);
  await clock.advance(10_000);
  end(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  expect([connection.ending, connection.isSuspicious]).toEqual(['broken', false]);
  await clock.advance(10_000);
  // A node that is shut down, or an operator: not over a message.
  end(reply(320, 'CONNECTION_FORCED'));
  expect([connection.ending, connection.isSuspicious]).toEqual(['broken', false]);
});
