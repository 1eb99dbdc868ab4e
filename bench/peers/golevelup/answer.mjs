// A Nest 11 application with one @RabbitRPC method of @golevelup/nestjs-rabbitmq.
import 'reflect-metadata';
import { RabbitMQModule, RabbitRPC } from '@golevelup/nestjs-rabbitmq';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { answerTo, serveAnswers } from '../../clients/answering.mjs';
import { optionsOf } from './options.mjs';

serveAnswers((task) => {
  const { exchange, asked, askedQueue: queue, askedQueueOptions: queueOptions } = task;
  class Responder {
    quote(body) {
      return answerTo(body);
    }
  }
  Injectable()(Responder);
  const { prototype } = Responder;
  const respond = RabbitRPC({ exchange, routingKey: asked, queue, queueOptions });
  respond(prototype, 'quote', Object.getOwnPropertyDescriptor(prototype, 'quote'));
  class AnsweringModule {}
  Module({ imports: [RabbitMQModule.forRoot(optionsOf(task))], providers: [Responder] })(AnsweringModule);
  return NestFactory.createApplicationContext(AnsweringModule, { logger: ['error', 'warn'] });
});
