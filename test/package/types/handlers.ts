// Compiled against the packed package, with `skipLibCheck: false` and none of the optional peers installed.
// Every entry is imported beside it, by a file that scripts/package-matrix.mjs makes.
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { nats, type NatsSubscriptionOptions } from 'nestjs-messaging/nats';
import { rabbitmq, type RabbitmqSubscriptionOptions } from 'nestjs-messaging/rabbitmq';

export const transports = [rabbitmq({ queueType: 'classic' }), nats({ stream: 'events' })];

export class Handlers {
  @Subscribe('order.created', { rabbitmq: { queueType: 'classic' }, nats: {}, memory: { maxMessages: 5 } })
  handle(order: { readonly id: number }, context: MessageContext): void {
    const options: [RabbitmqSubscriptionOptions, NatsSubscriptionOptions] = [{}, {}];
    void [order, context, options];
  }
}
