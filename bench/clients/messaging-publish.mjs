// A Nest application that publishes.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { publishInLanes } from './lanes.mjs';
import { bodyOf } from './message.mjs';
import { Meter } from './meter.mjs';
import { MessagingModule, Publisher, rabbitmq } from './package.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();
let app;

function start({ url, exchange, queueType, service }) {
  const transport = rabbitmq({ url, exchange, queueType });
  class PublishingModule {}
  Module({ imports: [MessagingModule.forRoot({ service, transport, consume: false })] })(PublishingModule);
  return NestFactory.createApplicationContext(PublishingModule, { logger: ['error', 'warn'] });
}

serve(
  async (task) => {
    app ??= await start(task);
    const publisher = app.get(Publisher);
    const publish = (number) => publisher.publish(task.route, bodyOf(number));
    // In the retry queue it would be fast, and no answer of the broker.
    const isDone = ({ outcome }) => outcome === 'confirmed';
    return publishInLanes(publish, meter, task, isDone);
  },
  async () => app?.close(),
);
