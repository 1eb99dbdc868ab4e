// The application that bench/dashboard/run.mjs measures; told what to do by messages of its parent.
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

const [, , directory, queues, deadLetters, inFlight] = process.argv;
const load = createRequire(join(directory, 'package.json'));
const { Messaging, MessagingModule, sqliteDeadLetterArchive } = load('nestjs-messaging');
const { MessagingDashboardModule } = load('nestjs-messaging/dashboard');
const LOAD = 'load.done';

class Empty {
  get() {
    return {};
  }
}
Reflect.decorate([Get()], Empty.prototype, 'get', Object.getOwnPropertyDescriptor(Empty.prototype, 'get'));
Reflect.decorate([Controller('empty')], Empty);

class Application {}
const messaging = MessagingModule.forRoot({
  service: 'bench',
  deadLetters: { archive: sqliteDeadLetterArchive({ file: join(directory, 'archive.sqlite') }) },
});
Reflect.decorate(
  [Module({ imports: [messaging, MessagingDashboardModule.forRoot({ insecure: true })], controllers: [Empty] })],
  Application,
);

let handled = 0;
let loading = false;

const app = await NestFactory.create(Application, { logger: ['error'] });
await app.listen(0, '127.0.0.1');
const connection = app.get(Messaging);
await seed();
await connection.subscribe({ route: LOAD, prefetch: 100 }, () => void handled++);
process.on('message', async ({ ask }) => {
  if (ask === 'load') {
    loading = true;
    for (let n = 0; n < Number(inFlight); n++) void pump();
  } else if (ask === 'rest') loading = false;
  else if (ask === 'end') return void app.close().then(() => process.disconnect());
  process.send({ handled, at: performance.now() });
});
process.send({ url: await app.getUrl() });

/** As many queues as dead letters in groups: each handler fails with an error of its own. */
async function seed() {
  const each = Number(deadLetters) / Number(queues);
  for (let queue = 0; queue < Number(queues); queue++) {
    const name = `Error${queue}`;
    await connection.subscribe({ route: `seed.${queue}`, retry: false }, () => {
      throw Object.assign(new Error('out of stock'), { name });
    });
    const all = Array.from({ length: each }, (_, n) =>
      connection.publisher.publish(`seed.${queue}`, { n, card: '4111' }),
    );
    await Promise.all(all);
  }
  while ((await connection.deadLetters.archive.count()) < Number(deadLetters))
    await new Promise((resolve) => setTimeout(resolve, 100));
}

async function pump() {
  while (loading) {
    await connection.publisher.publish(LOAD, { item: 'book' });
    // The server's other work comes in its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
