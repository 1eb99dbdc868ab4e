// Nest's own Kafka transport: one @EventPattern handler; the client commits.
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload, Transport } from '@nestjs/microservices';
import { Intake } from '../../clients/intake.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { optionsOf } from './kafka-options.mjs';

const meter = new Meter();

function subscriber({ exchange }, intake) {
  class Subscriber {
    onEvent(body) {
      intake.handle(body);
    }
  }
  Controller()(Subscriber);
  const { prototype } = Subscriber;
  Payload()(prototype, 'onEvent', 0);
  EventPattern(exchange)(prototype, 'onEvent', Object.getOwnPropertyDescriptor(prototype, 'onEvent'));
  return Subscriber;
}

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  class ConsumingModule {}
  Module({ controllers: [subscriber(task, intake)] })(ConsumingModule);
  const app = await NestFactory.createMicroservice(ConsumingModule, {
    transport: Transport.KAFKA,
    options: optionsOf(task),
    logger: ['error', 'warn'],
  });
  ready();
  await app.listen();
  const figures = await intake.done;
  await app.close();
  return figures;
});
