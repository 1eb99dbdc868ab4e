import type { ChannelModel } from 'amqplib';
import type { TransportEnvironment } from '../../../transport/transport.js';
import { type ConnectionListeners, SupervisedConnection } from '../../kit/supervised-connection.js';
import type { Address } from './address.js';
import { isBlocked } from './amqplib.js';
import { type BlockListeners, RabbitmqDialer } from './dialer.js';

export type RabbitmqListeners = ConnectionListeners<ChannelModel> & BlockListeners;

/** A supervised connection that the broker can block. */
export class RabbitmqConnection extends SupervisedConnection<ChannelModel> {
  declare protected readonly dialer: RabbitmqDialer;

  constructor(
    name: string,
    addresses: readonly Address[],
    environment: TransportEnvironment,
    listeners: RabbitmqListeners,
  ) {
    super(new RabbitmqDialer(name, addresses, environment.clock, listeners), environment, {
      ...listeners,
      opened: (model) => {
        listeners.opened(model);
        if (isBlocked(model)) listeners.blocked?.('blocked by the broker');
      },
    });
  }

  get host(): string {
    return this.dialer.host;
  }
}
