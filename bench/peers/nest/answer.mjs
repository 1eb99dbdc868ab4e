// Nest's own RabbitMQ transport: one @MessagePattern method.
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import { answerTo, serveAnswers } from '../../clients/answering.mjs';
import { askingOptionsOf } from './options.mjs';

serveAnswers(async (task) => {
  class Responder {
    quote(body, context) {
      if (!task.noAck) context.getChannelRef().ack(context.getMessage());
      return answerTo(body);
    }
  }
  Controller()(Responder);
  const { prototype } = Responder;
  Payload()(prototype, 'quote', 0);
  Ctx()(prototype, 'quote', 1);
  MessagePattern(task.asked)(prototype, 'quote', Object.getOwnPropertyDescriptor(prototype, 'quote'));
  class AnsweringModule {}
  Module({ controllers: [Responder] })(AnsweringModule);
  const options = { ...askingOptionsOf(task), noAck: task.noAck };
  const transport = Transport.RMQ;
  const app = await NestFactory.createMicroservice(AnsweringModule, { transport, options, logger: ['error', 'warn'] });
  await app.listen();
  return app;
});
