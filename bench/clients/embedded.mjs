// A Nest application on the embedded broker: every message is published, confirmed and handled in this process.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { publishInLanes } from './lanes.mjs';
import { bodyOf } from './message.mjs';
import { Meter } from './meter.mjs';
import { MessagingModule, Publisher, Subscribe } from './package.mjs';
import { serve } from './serve.mjs';
import { subscriber } from './subscriber.mjs';

const PREFETCH = 100;

const meter = new Meter();
const waiting = new Map();
let app;

function start(route) {
  class EmbeddedModule {}
  const handler = { handle: (body) => waiting.get(body.number)() };
  Module({
    imports: [MessagingModule.forRoot({})],
    providers: [subscriber([Subscribe(route, { prefetch: PREFETCH })], handler)],
  })(EmbeddedModule);
  return NestFactory.createApplicationContext(EmbeddedModule, { logger: ['error'] });
}

serve(
  async (task) => {
    app ??= await start(task.route);
    const publisher = app.get(Publisher);
    const publishAndHandle = async (number) => {
      const body = bodyOf(number);
      const handled = new Promise((resolve) => waiting.set(body.number, resolve));
      await publisher.publish(task.route, body);
      await handled;
      waiting.delete(body.number);
    };
    return publishInLanes(publishAndHandle, meter, task);
  },
  async () => app?.close(),
);
