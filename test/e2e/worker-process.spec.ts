import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

// An application without an HTTP server, so that nothing but this package can keep its process alive.
const PROGRAM = `
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, Publisher } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
const transport = rabbitmq({ url: 'amqp://guest:guest@127.0.0.1:1' });
const module = MessagingModule.forRoot({ service: 'worker', transport, shutdownTimeout: 300, reconnect: { initial: 50, max: 50 } });
const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
const { id } = await app.get(Publisher).publish('order.created', {});
// Fires only if something else has kept the process alive until then.
setTimeout(() => console.log('waiting', id), 300).unref();
process.on('SIGTERM', async () => {
  await app.close();
  console.log('closed', app.get(Messaging).health().connection.state);
});
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(resolve(__dirname, '../../.build'), 'worker-'));
  await writeFile(join(folder, 'worker.mjs'), PROGRAM);
});

afterAll(() => rm(folder, { recursive: true }));

test('a worker stays alive while its broker is down, and reports at its end what it could not send', async () => {
  const worker = spawn(process.execPath, [join(folder, 'worker.mjs')], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const ended = new Promise<number | null>((resolve) => worker.on('exit', (code) => resolve(code)));
  const said = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (chunk: Buffer): void => {
        output += chunk.toString();
        if (output.includes(text)) resolve();
      };
      worker.stdout.on('data', look);
      worker.stderr.on('data', look);
    });
  const waiting = said('waiting');
  expect(await Promise.race([waiting.then(() => 'alive'), ended])).toBe('alive');
  const id = /waiting (\S+)/.exec(output)![1];
  worker.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(output).toContain('closed closed');
  expect(output).toMatch(new RegExp(`ERROR.*Not confirmed before the shutdown deadline.*${id} \\(order\\.created\\)`));
});
