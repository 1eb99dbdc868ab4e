// A Nest application with one @Respond method.
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { answerTo, serveAnswers } from './answering.mjs';
import { MessagingModule, Respond } from './package.mjs';
import { transportOf } from './transport.mjs';

serveAnswers((task) => {
  class Responder {
    quote(body) {
      return answerTo(body);
    }
  }
  Injectable()(Responder);
  const { prototype } = Responder;
  const options = { prefetch: task.prefetch };
  Respond(task.asked, options)(prototype, 'quote', Object.getOwnPropertyDescriptor(prototype, 'quote'));
  class AnsweringModule {}
  const imports = [MessagingModule.forRoot({ service: `${task.service}-asked`, transport: transportOf(task) })];
  Module({ imports, providers: [Responder] })(AnsweringModule);
  return NestFactory.createApplicationContext(AnsweringModule, { logger: ['error', 'warn'] });
});
