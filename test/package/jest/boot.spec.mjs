// Run by scripts/package-matrix.mjs in Jest's ES modules, which cannot require Nest 12.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { expect, test } from '@jest/globals';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { MessagingProbe, MessagingTestingModule } from 'nestjs-messaging/testing';

class AppModule {}

test('an application is booted and sends', async () => {
  const messaging = MessagingModule.forRoot({
    service: 'packed',
    transport: rabbitmq({ url: 'amqp://nowhere.invalid' }),
  });
  const module = { module: AppModule, imports: [messaging, MessagingTestingModule.forRoot()] };
  const app = await NestFactory.createApplicationContext(module, { logger: false });
  const { outcome } = await app.get(Publisher).publish('order.created', {}, { unroutable: 'ignore' });
  expect([outcome, app.get(MessagingProbe)]).toEqual(['confirmed', expect.any(MessagingProbe)]);
  await app.close();
});
