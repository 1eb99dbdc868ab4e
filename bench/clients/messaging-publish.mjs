// A Nest application that publishes.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { publishInLanes, publishInTurns } from './lanes.mjs';
import { bodyOf } from './message.mjs';
import { Meter } from './meter.mjs';
import { Messaging, MessagingModule, Publisher } from './package.mjs';
import { serve } from './serve.mjs';
import { checkTelemetry, telemetryOf } from './telemetry.mjs';
import { transportOf } from './transport.mjs';

const meter = new Meter();
let app;
let seen = 0;

async function start(task) {
  const { service, module, middleware = 0, listen, telemetry } = task;
  const publishMiddleware = Array.from({ length: middleware }, () => (request, next) => next(request));
  const options = {
    service,
    transport: transportOf(task),
    consume: false,
    publishMiddleware,
    telemetry: telemetryOf(telemetry),
    ...module,
  };
  class PublishingModule {}
  Module({ imports: [MessagingModule.forRoot(options)] })(PublishingModule);
  const application = await NestFactory.createApplicationContext(PublishingModule, { logger: ['error', 'warn'] });
  if (listen) application.get(Messaging).events.on(listen, () => seen++);
  return application;
}

/** How one message is published: with a key of so many, or as plainly as it gets. */
function publishing({ route, keys }) {
  const publisher = app.get(Publisher);
  if (!keys) return (number) => publisher.publish(route, bodyOf(number));
  const names = Array.from({ length: keys }, (_, at) => `customer-${at}`);
  return (number) => publisher.publish(route, bodyOf(number), { key: names[number % keys] });
}

serve(
  async (task) => {
    app ??= await start(task);
    // In the retry queue it would be fast, and no answer of the broker.
    const isDone = ({ outcome }) => outcome === 'confirmed';
    const publishAll = task.inTurns ? publishInTurns : publishInLanes;
    const figures = await publishAll(publishing(task), meter, task, isDone);
    if (task.listen && seen === 0) throw new Error(`The listener of «${task.listen}» was never called`);
    checkTelemetry(task.telemetry);
    return figures;
  },
  async () => app?.close(),
);
