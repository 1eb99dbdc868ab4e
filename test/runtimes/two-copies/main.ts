// Run by scripts/runtimes.mjs: the module is of one copy of the package, a provider of another; prints JSON.
import 'reflect-metadata';
import { setTimeout as pause } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Billing } from 'billing';
import { Messaging, MessagingModule } from 'nestjs-messaging';

@Module({ imports: [MessagingModule.forRoot({ service: 'shop' })], providers: [Billing] })
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'fatal'] });
  const billing = app.get(Billing);
  const messaging = app.get(Messaging);
  for (const item of ['book', 'lamp', 'later']) await billing.publisher.publish('order.created', { item });
  while (billing.billed.length < 2 || (await messaging.deadLetters.count()) < 1) await pause(20);
  const [{ reason }] = await messaging.deadLetters.list();
  const copies = (globalThis as Record<symbol, Map<symbol, Set<object>>>)[Symbol.for('nestjs-messaging:copies')];
  const publishers = copies.get(Symbol.for('nestjs-messaging:Publisher'))!.size;
  await app.close();
  console.log(JSON.stringify({ publishers, billed: billing.billed.sort(), reason }));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
