// A Nest 11 application that publishes by @golevelup/nestjs-rabbitmq: AmqpConnection.publish on its confirm channel.
import 'reflect-metadata';
import { AmqpConnection, RabbitMQModule } from '@golevelup/nestjs-rabbitmq';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { publishInLanes } from '../../clients/lanes.mjs';
import { bodyOf, propertiesOf } from '../../clients/message.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { optionsOf } from './options.mjs';

const meter = new Meter();
let app;

function start(task) {
  class PublishingModule {}
  Module({ imports: [RabbitMQModule.forRoot(optionsOf(task))] })(PublishingModule);
  return NestFactory.createApplicationContext(PublishingModule, { logger: ['error', 'warn'] });
}

serve(
  async (task) => {
    app ??= await start(task);
    const connection = app.get(AmqpConnection);
    const { exchange, route } = task;
    const publish = (number) => connection.publish(exchange, route, bodyOf(number), propertiesOf(route));
    return publishInLanes(publish, meter, task);
  },
  async () => app?.close(),
);
