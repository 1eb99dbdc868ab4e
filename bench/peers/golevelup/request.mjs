// A Nest 11 application that asks by @golevelup/nestjs-rabbitmq: AmqpConnection.request, by direct reply-to.
import 'reflect-metadata';
import { AmqpConnection, RabbitMQModule } from '@golevelup/nestjs-rabbitmq';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { asking } from '../../clients/answering.mjs';
import { publishInLanes } from '../../clients/lanes.mjs';
import { bodyOf } from '../../clients/message.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { optionsOf } from './options.mjs';

const meter = new Meter();
let app;

function start(task) {
  class AskingModule {}
  Module({ imports: [RabbitMQModule.forRoot(optionsOf(task))] })(AskingModule);
  return NestFactory.createApplicationContext(AskingModule, { logger: ['error', 'warn'] });
}

serve(
  async (task) => {
    app ??= await start(task);
    const connection = app.get(AmqpConnection);
    const { exchange, asked: routingKey, sent: publishOptions } = task;
    const request = (payload) => connection.request({ exchange, routingKey, payload, publishOptions });
    return publishInLanes(asking(request, bodyOf), meter, task, (is) => is);
  },
  async () => app?.close(),
);
