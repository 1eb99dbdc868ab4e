// A Nest application with so many @Subscribe methods: from its creation until all of them consume.
import 'reflect-metadata';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, Subscribe, rabbitmq } from '../../clients/package.mjs';
import { serve } from '../../clients/serve.mjs';

let app;

function subscriber(count) {
  class Subscriber {}
  for (let at = 0; at < count; at++) {
    const name = `on${at}`;
    Object.defineProperty(Subscriber.prototype, name, { value: () => {}, writable: true, configurable: true });
    const method = Object.getOwnPropertyDescriptor(Subscriber.prototype, name);
    Subscribe(`scale.${at}`)(Subscriber.prototype, name, method);
  }
  Injectable()(Subscriber);
  return Subscriber;
}

async function start({ url, exchange, queueType, service, subscriptions }) {
  class ManyModule {}
  const transport = rabbitmq({ url, exchange, queueType });
  Module({
    imports: [MessagingModule.forRoot({ service, transport })],
    providers: [subscriber(subscriptions)],
  })(ManyModule);
  app = await NestFactory.createApplicationContext(ManyModule, { logger: ['error', 'warn'] });
  const messaging = app.get(Messaging);
  for (;;) {
    const { consumers } = messaging.health();
    if (consumers.length === subscriptions && consumers.every(({ state }) => state === 'consuming')) return;
    await pause(5);
  }
}

serve(
  async (task) => {
    const before = performance.now();
    await start(task);
    const startMs = performance.now() - before;
    // What the declarations left behind belongs to the start.
    await pause(1_000);
    for (let times = 0; times < 3; times++) globalThis.gc();
    const { heapUsed: heap, rss } = process.memoryUsage();
    return { startMs, heap, rss };
  },
  async () => app?.close(),
);
