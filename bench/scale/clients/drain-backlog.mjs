// A Nest application whose handler takes so many messages.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagingModule, Subscribe, rabbitmq } from '../../clients/package.mjs';
import { serve } from '../../clients/serve.mjs';
import { subscriber } from '../../clients/subscriber.mjs';
import { MemorySamples } from './memory-samples.mjs';

let app;

serve(
  async ({ url, exchange, queueType, service, route, messages, prefetch }) => {
    const samples = new MemorySamples(messages);
    class ConsumingModule {}
    Module({
      imports: [MessagingModule.forRoot({ service, transport: rabbitmq({ url, exchange, queueType }) })],
      providers: [subscriber([Subscribe(route, { prefetch })], { handle: () => samples.add() })],
    })(ConsumingModule);
    app = await NestFactory.createApplicationContext(ConsumingModule, { logger: ['error', 'warn'] });
    return samples.done;
  },
  async () => app?.close(),
);
