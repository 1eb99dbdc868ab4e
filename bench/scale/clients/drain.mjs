// A Nest application that subscribes when it is told to, and stops when nothing comes any more.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { monotonic } from '../../clients/message.mjs';
import { Messaging, MessagingModule, rabbitmq } from '../../clients/package.mjs';
import { serve } from '../../clients/serve.mjs';

const IDLE_MS = 2_000;

let app;

function start({ url, exchange, queueType, service }) {
  class ConsumingModule {}
  const transport = rabbitmq({ url, exchange, queueType });
  Module({ imports: [MessagingModule.forRoot({ service, transport })] })(ConsumingModule);
  return NestFactory.createApplicationContext(ConsumingModule, { logger: ['error', 'warn'] });
}

async function drain({ route, prefetch }) {
  const cpuBefore = process.cpuUsage();
  let handled = 0;
  let firstAt = 0;
  let lastAt = monotonic();
  const subscription = await app.get(Messaging).subscribe({ route, prefetch }, () => {
    lastAt = monotonic();
    if (handled++ === 0) firstAt = lastAt;
  });
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      if (monotonic() - lastAt < IDLE_MS) return;
      clearInterval(timer);
      resolve();
    }, 100);
  });
  const { user, system } = process.cpuUsage(cpuBefore);
  await subscription.stop();
  return { handled, firstAt, lastAt, cpu: user + system };
}

serve(
  async (task) => {
    if (task.phase === 'drain') return drain(task);
    app = await start(task);
    return {};
  },
  async () => app?.close(),
);
