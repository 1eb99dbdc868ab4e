import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newDirectory } from '../brokers/run-directory.js';

/** Under Node's own runner, where neither a client of a broker nor jest is installed. */
const program = `
  import 'reflect-metadata';
  import assert from 'node:assert/strict';
  import { test } from 'node:test';
  import { Module } from '@nestjs/common';
  import { Test } from '@nestjs/testing';
  import { Messaging, MessagingModule, Publisher } from './dist/index.mjs';
  import { rabbitmq } from './dist/rabbitmq.mjs';
  import { MessagingProbe, MessagingTestingModule } from './dist/testing.mjs';

  class AppModule {}
  Module({ imports: [MessagingModule.forRoot({ service: 'orders', transport: rabbitmq({ url: 'amqp://nowhere.invalid' }) })] })(AppModule);

  test('an order is handled', async () => {
    const module = await Test.createTestingModule({ imports: [AppModule, MessagingTestingModule.forRoot()] }).compile();
    module.useLogger(false);
    await module.init();
    const probe = module.get(MessagingProbe);
    await module.get(Messaging).subscribe({ route: 'order', delay: 1000 }, () => {});
    await module.get(Publisher).publish('order', { item: 'book' });
    const [{ payload }] = await probe.handled('order');
    assert.deepEqual(payload, { item: 'book' });
    await assert.rejects(probe.deadLettered('order', { timeout: 10 }), { name: 'ExpectationError' });
    await module.close();
    console.log('open: ' + process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);
  });
`;

let directory: string;

beforeAll(() => {
  const root = resolve(__dirname, '../..');
  directory = newDirectory('node-test');
  cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
  mkdirSync(join(directory, 'node_modules'));
  for (const name of ['@nestjs', 'reflect-metadata', 'rxjs'])
    symlinkSync(join(root, 'node_modules', name), join(directory, 'node_modules', name));
  writeFileSync(join(directory, 'order.test.mjs'), program);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('MessagingTestingModule needs no client of a broker and no jest, and leaves nothing open', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['order.test.mjs'], {
    cwd: directory,
    timeout: 60_000,
  });
  expect(stdout).toMatch(/pass 1\b/);
  expect(stdout).toContain('open: 0');
});
