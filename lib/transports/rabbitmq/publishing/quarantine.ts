import type { ChannelModel } from 'amqplib';
import type { TransportEnvironment } from '../../../transport/transport.js';
import { Quarantine } from '../../kit/quarantine.js';
import type { RabbitmqConnection, RabbitmqListeners } from '../connection/connection.js';
import { refusalOf, resultOf } from './isolation.js';
import type { Sending } from './sending.js';
import { SoloChannel } from './solo-channel.js';

export type RabbitmqQuarantine = Quarantine<ChannelModel, Sending>;

/** RabbitMQ closes the connection over a frame or a value that it cannot read. */
export function rabbitmqQuarantine(
  connect: (listeners: RabbitmqListeners) => RabbitmqConnection,
  environment: TransportEnvironment,
): RabbitmqQuarantine {
  const { clock, confirmTimeout } = environment;
  let solo: SoloChannel<Sending> | undefined;
  let blocked = false;
  return new Quarantine({
    broker: 'RabbitMQ',
    environment,
    connect: () =>
      connect({
        opened: () => {},
        lost: () => (blocked = false),
        blocked: () => (blocked = true),
        unblocked: () => (blocked = false),
        warning: () => {},
      }),
    send: async (connection, model, sending) => {
      if (solo?.model !== model) solo = new SoloChannel(model, clock, confirmTimeout, () => blocked);
      const verdict = await solo.send(sending).catch(() => 'lost' as const);
      return resultOf(verdict, (text) => connection.redact(text));
    },
    refusal: refusalOf,
  });
}
