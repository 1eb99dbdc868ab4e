// A Nest 11 application with one @RabbitSubscribe handler of @golevelup/nestjs-rabbitmq.
import 'reflect-metadata';
import { RabbitMQModule, RabbitSubscribe } from '@golevelup/nestjs-rabbitmq';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Intake } from '../../clients/intake.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { optionsOf } from './options.mjs';

const meter = new Meter();

function subscriber({ exchange, route, queue, handler }, intake) {
  class Subscriber {
    plain(body) {
      intake.handle(body);
    }

    async async(body) {
      await intake.handleLater(body);
    }
  }
  Injectable()(Subscriber);
  const method = handler ?? 'plain';
  const subscribe = RabbitSubscribe({ exchange, routingKey: route, queue, createQueueIfNotExists: false });
  subscribe(Subscriber.prototype, method, Object.getOwnPropertyDescriptor(Subscriber.prototype, method));
  return Subscriber;
}

function start(task, intake) {
  class ConsumingModule {}
  Module({
    imports: [RabbitMQModule.forRoot(optionsOf(task))],
    providers: [subscriber(task, intake)],
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
