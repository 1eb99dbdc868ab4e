// Run by scripts/runtimes.mjs: the way of messages through an application; the last line tells what was seen, as JSON.
import 'reflect-metadata';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  diskRetryQueue,
  fixed,
  memory,
  type MessageContext,
  Messaging,
  MessagingModule,
  Subscribe,
  type TransportFactory,
  UnrecoverableError,
} from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';

interface Order {
  readonly item: string;
}

/** Packs what is in stock; the first call for a «wobbly» one fails. */
@Injectable()
class Orders {
  readonly packed = new Set<string>();
  readonly stock = new Set(['book', 'wobbly']);

  constructor(readonly messaging: Messaging) {}

  @Subscribe('order.created')
  async pack({ item }: Order, context: MessageContext): Promise<void> {
    if (!this.stock.has(item)) throw new UnrecoverableError(`No ${item} in stock`);
    if (item === 'wobbly' && context.attempt === 1) throw new Error('It fell over');
    this.packed.add(item);
  }
}

const transports: Readonly<Record<string, () => TransportFactory>> = {
  memory: () => memory(),
  rabbitmq: () => rabbitmq({ url: process.env.AMQP_URL }),
  nats: () => nats({ servers: process.env.NATS_URL }),
};

const directory = process.env.DISK;

@Module({
  imports: [
    MessagingModule.forRoot({
      service: 'trial',
      transport: transports[process.env.TRANSPORT ?? 'memory'](),
      retry: { attempts: 3, backoff: fixed(300) },
      ...(directory && { retryQueue: { store: diskRetryQueue({ directory }) } }),
    }),
  ],
  providers: [Orders],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'fatal'] });
  const orders = app.get(Orders);
  const { publisher, deadLetters } = orders.messaging;
  await until(() => orders.messaging.health().status === 'up');

  const { outcome } = await publisher.publish('order.created', { item: 'book' });
  await until(() => orders.packed.has('book'));
  await publisher.publish('order.created', { item: 'wobbly' });
  await until(() => orders.packed.has('wobbly'));
  await publisher.publish('order.created', { item: 'lamp' });
  await until(async () => (await deadLetters.count()) === 1);
  const [{ reason, error }] = await deadLetters.list();
  orders.stock.add('lamp');
  const { done } = await deadLetters.redrive();
  await until(() => orders.packed.has('lamp'));
  const { settled, outcome: delayed } = await publisher.publish('order.created', { item: 'book' }, { delay: 50 });
  await settled;
  const { status, retryQueue } = orders.messaging.health();
  await app.close();
  console.log(
    JSON.stringify({
      outcome,
      packed: [...orders.packed],
      reason,
      error: error.message,
      done,
      delayed,
      status,
      store: retryQueue.store,
    }),
  );
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await holds()); await pause(20))
    if (Date.now() > deadline) throw new Error(`Waited 30 s for: ${String(holds)}`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
