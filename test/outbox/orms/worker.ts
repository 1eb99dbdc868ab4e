import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { PoolClient } from 'pg';
import { fixed, Messaging, MessagingModule } from 'nestjs-messaging';
import { Outbox, OutboxModule } from 'nestjs-messaging/outbox';
import { postgres } from 'nestjs-messaging/postgres';
import { requireFrom } from './install.js';
import { libraries } from './libraries.js';

/** Handles numbers in a process of its own: an effect, a message that tells of it, and the note that it was handled. */
async function main(name: string, url: string, folder: string): Promise<void> {
  const library = libraries.find((one) => one.package === name)!;
  const session = await library.open(requireFrom(folder), url, folder);
  const transport = postgres({ url, lease: 1_000, pollInterval: 100 });
  class Worker {}
  Module({
    imports: [
      MessagingModule.forRoot({ service: 'worker', transport }),
      OutboxModule.forRoot({ url, pollInterval: 50, retention: 3_600_000 }),
    ],
  })(Worker);
  const app = await NestFactory.createApplicationContext(Worker, { logger: false });
  const outbox = app.get(Outbox);
  const retry = { attempts: 1_000, backoff: fixed(20) };
  await app.get(Messaging).subscribe<number>({ route: 'n', prefetch: 5, retry }, (n, context) =>
    outbox.inbox.once(
      context,
      (work) => session.transaction(work),
      async (tx: PoolClient) => {
        await session.query(tx, `insert into effects values (${n})`);
        await outbox.add(tx, 'followed', n, { unroutable: 'ignore' });
      },
    ),
  );
  process.send!('ready');
}

const [name, url, folder] = process.argv.slice(2);
void main(name, url, folder);
