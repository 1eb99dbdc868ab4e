// Run by scripts/package-matrix.mjs; prints what it found as JSON in its last line.
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { NestFactory } from '@nestjs/core';
import { Publisher } from 'nestjs-messaging';
import { AppModule, Inbox } from './app.module.js';

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'] });
  await app.listen(0, '127.0.0.1');
  const health = await fetch(`${await app.getUrl()}/health`, { headers: { connection: 'close' } });
  const { outcome } = await app.get(Publisher).publish('order.created', { item: 'book' });
  const handled = await app.get(Inbox).first;
  await app.close();

  const require = createRequire(process.argv[1]);
  const required = require('nestjs-messaging') as { readonly Publisher: unknown };
  const imported: { readonly Publisher: unknown } = await import('nestjs-messaging');
  console.log(
    JSON.stringify({
      node: process.versions.node,
      nest: (require('@nestjs/core/package.json') as { version: string }).version,
      health: { status: health.status, body: (await health.json()) as unknown },
      outcome,
      handled,
      oneCopy: required.Publisher === Publisher && imported.Publisher === Publisher,
    }),
  );
}

void main();
