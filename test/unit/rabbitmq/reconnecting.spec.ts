import { EventEmitter } from 'node:events';
import { expect, it } from '@jest/globals';
import type { ChannelModel } from 'amqplib';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEnvironment } from '../../../lib/transport/transport.js';
import type { Address } from '../../../lib/transports/rabbitmq/address.js';
import { RabbitmqConnection } from '../../../lib/transports/rabbitmq/connection.js';

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
