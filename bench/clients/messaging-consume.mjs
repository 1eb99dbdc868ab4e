// A Nest application with one handler.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { enhancers } from './enhancers.mjs';
import { featuresOf } from './features.mjs';
import { Intake } from './intake.mjs';
import { Meter } from './meter.mjs';
import { Messaging, MessagingModule, Subscribe, SubscribeBatch } from './package.mjs';
import { serve } from './serve.mjs';
import { batchSubscriber, subscriber } from './subscriber.mjs';
import { checkTelemetry, telemetryOf } from './telemetry.mjs';
import { transportOf } from './transport.mjs';

const meter = new Meter();

function start(task, intake, features) {
  const { service, route, prefetch } = task;
  const middleware = Array.from({ length: task.middleware ?? 0 }, () => (context, next) => next());
  const options = { prefetch, middleware, ...task.subscription, ...features };
  const subscribe = task.batch ? SubscribeBatch(route, { ...options, ...task.batch }) : Subscribe(route, options);
  const make = task.batch ? batchSubscriber : subscriber;
  const decorators = [subscribe, ...(task.enhancers ? enhancers : [])];
  class ConsumingModule {}
  Module({
    imports: [
      MessagingModule.forRoot({
        service,
        transport: transportOf(task),
        telemetry: telemetryOf(task.telemetry),
      }),
    ],
    providers: [make(decorators, intake, task.handler)],
  })(ConsumingModule);
  return NestFactory.createApplicationContext(ConsumingModule, { logger: ['error', 'warn'] });
}

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  const features = featuresOf(task);
  const app = await start(task, intake, features.options);
  let seen = 0;
  if (task.listen) app.get(Messaging).events.on(task.listen, () => seen++);
  ready();
  const figures = await intake.done;
  if (task.listen && seen === 0) throw new Error(`The listener of «${task.listen}» was never called`);
  await app.close();
  features.end();
  checkTelemetry(task.telemetry);
  return figures;
});
