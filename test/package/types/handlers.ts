// Compiled against the packed package, with `skipLibCheck: false` and none of the optional peers installed.
import { MessageContext, MessagingModule, Subscribe } from 'nestjs-messaging';
import { MessagingHealthIndicator } from 'nestjs-messaging/health';
import { nats, type NatsSubscriptionOptions } from 'nestjs-messaging/nats';
import { openTelemetry } from 'nestjs-messaging/opentelemetry';
import { rabbitmq, type RabbitmqSubscriptionOptions } from 'nestjs-messaging/rabbitmq';
import { RequeueModule } from 'nestjs-messaging/requeue';
import { SteadyTime } from 'nestjs-messaging/stores';
import { transportContract } from 'nestjs-messaging/testing';
import { BrokerTransport } from 'nestjs-messaging/transport';

export const entries = [MessagingModule, MessagingHealthIndicator, openTelemetry, RequeueModule, transportContract];
export const forAuthors = [SteadyTime, BrokerTransport];
export const transports = [rabbitmq({ queueType: 'classic' }), nats({ stream: 'events' })];

export class Handlers {
  @Subscribe('order.created', { rabbitmq: { queueType: 'classic' }, nats: {}, memory: { maxMessages: 5 } })
  handle(order: { readonly id: number }, context: MessageContext): void {
    const options: [RabbitmqSubscriptionOptions, NatsSubscriptionOptions] = [{}, {}];
    void [order, context, options];
  }
}
