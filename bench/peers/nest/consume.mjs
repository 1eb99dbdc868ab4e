// Nest's own RabbitMQ transport: one @EventPattern handler that acks by hand, as its documentation shows.
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload, Transport } from '@nestjs/microservices';
import { Intake } from '../../clients/intake.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { optionsOf } from './options.mjs';

const meter = new Meter();

function subscriber({ route, handler }, intake) {
  class Subscriber {
    plain(body, context) {
      intake.handle(body);
      context.getChannelRef().ack(context.getMessage());
    }

    async async(body, context) {
      await intake.handleLater(body);
      context.getChannelRef().ack(context.getMessage());
    }
  }
  Controller()(Subscriber);
  const method = handler ?? 'plain';
  const { prototype } = Subscriber;
  Payload()(prototype, method, 0);
  Ctx()(prototype, method, 1);
  EventPattern(route)(prototype, method, Object.getOwnPropertyDescriptor(prototype, method));
  return Subscriber;
}

async function start(task, intake) {
  class ConsumingModule {}
  Module({ controllers: [subscriber(task, intake)] })(ConsumingModule);
  const options = { ...optionsOf(task), noAck: false };
  const app = await NestFactory.createMicroservice(ConsumingModule, {
    transport: Transport.RMQ,
    options,
    logger: ['error', 'warn'],
  });
  await app.listen();
  return app;
}

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  const app = await start(task, intake);
  ready();
  const figures = await intake.done;
  await app.close();
  return figures;
});
