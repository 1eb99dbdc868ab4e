// A name or value that a broker's options do not have is an error of the compiler.
import { Subscribe } from 'nestjs-messaging';
import 'nestjs-messaging/rabbitmq';

export class Handlers {
  // @ts-expect-error dlq
  @Subscribe('order.created', { dql: true })
  one(): void {}

  // @ts-expect-error queueType
  @Subscribe('order.created', { rabbitmq: { queueTyp: 'quorum' } })
  two(): void {}

  // @ts-expect-error quorum
  @Subscribe({ route: 'order.created', rabbitmq: { queueType: 'quorun' } })
  three(): void {}
}
