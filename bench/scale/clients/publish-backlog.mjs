// A Nest application that publishes so many messages, so many of them under way at a time.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { bodyOf } from '../../clients/message.mjs';
import { MessagingModule, Publisher, rabbitmq } from '../../clients/package.mjs';
import { serve } from '../../clients/serve.mjs';
import { MemorySamples } from './memory-samples.mjs';

let app;

serve(
  async ({ url, exchange, queueType, service, route, messages, inFlight }) => {
    class PublishingModule {}
    const transport = rabbitmq({ url, exchange, queueType });
    Module({ imports: [MessagingModule.forRoot({ service, transport, consume: false })] })(PublishingModule);
    app = await NestFactory.createApplicationContext(PublishingModule, { logger: ['error', 'warn'] });
    const publisher = app.get(Publisher);
    const samples = new MemorySamples(messages);
    let number = 0;
    const lane = async () => {
      while (number < messages) {
        const { outcome, settled } = await publisher.publish(route, bodyOf(number++));
        if (outcome === 'queued') await settled;
        samples.add();
      }
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    return samples.list;
  },
  async () => app?.close(),
);
