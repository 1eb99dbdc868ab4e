// A Nest application that asks: Requester.request.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { asking } from './answering.mjs';
import { publishInLanes } from './lanes.mjs';
import { bodyOf } from './message.mjs';
import { Meter } from './meter.mjs';
import { MessagingModule, Requester } from './package.mjs';
import { serve } from './serve.mjs';
import { transportOf } from './transport.mjs';

const meter = new Meter();
let app;

function start(task) {
  class AskingModule {}
  Module({ imports: [MessagingModule.forRoot({ service: task.service, transport: transportOf(task) })] })(AskingModule);
  return NestFactory.createApplicationContext(AskingModule, { logger: ['error', 'warn'] });
}

serve(
  async (task) => {
    app ??= await start(task);
    const requester = app.get(Requester);
    const ask = asking((body) => requester.request(task.asked, body), bodyOf);
    return publishInLanes(ask, meter, task, (is) => is);
  },
  async () => app?.close(),
);
