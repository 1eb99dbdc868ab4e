// A Nest application with one plain handler.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Intake } from './intake.mjs';
import { Meter } from './meter.mjs';
import { MessagingModule, Subscribe, rabbitmq } from './package.mjs';
import { serve } from './serve.mjs';
import { subscriber } from './subscriber.mjs';

const meter = new Meter();

function start({ url, exchange, queueType, service, route, prefetch }, intake) {
  const transport = rabbitmq({ url, exchange, queueType });
  class ConsumingModule {}
  Module({
    imports: [MessagingModule.forRoot({ service, transport })],
    providers: [subscriber(Subscribe(route, { prefetch }), intake)],
  })(ConsumingModule);
  return NestFactory.createApplicationContext(ConsumingModule, { logger: ['error', 'warn'] });
}

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  const app = await start(task, intake);
  ready();
  const figures = await intake.done;
  await app.close();
  return figures;
});
