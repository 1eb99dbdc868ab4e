// With Nest's own JSON logger a call fails for good; scripts/package-matrix.mjs reads what is logged of it.
import 'reflect-metadata';
import { ConsoleLogger, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, Publisher, Subscribe } from 'nestjs-messaging';

@Injectable()
class Handlers {
  @Subscribe('order.failed', { retry: false })
  handle(): void {
    throw new TypeError('out of stock');
  }
}

@Module({ imports: [MessagingModule.forRoot({ service: 'packed' })], providers: [Handlers] })
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: new ConsoleLogger({ json: true }) });
  const dead = new Promise((resolve) => app.get(Messaging).events.on('dead-lettered', resolve));
  await app.get(Publisher).publish('order.failed', {}, { id: 'the-id' });
  await dead;
  await app.close();
}

void main();
