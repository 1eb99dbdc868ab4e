import { expect, jest, test } from '@jest/globals';
import { Test } from '@nestjs/testing';
import type { InvalidOptionError } from 'nestjs-messaging';
import {
  MessagingProbe,
  MessagingTestingModule,
  transportContract,
  type TransportHarness,
} from 'nestjs-messaging/testing';
import { memoryHarness } from '../contract/memory.harness.js';
import { CapturedLog } from '../e2e/support/application.js';
import { code, Markdown } from './markdown.js';
import { scratchFolder } from './type-check.js';

const page = Markdown.read('docs/testing.md');

test('docs/testing.md has the guarantee in its first sentence', () => {
  const [, first] = page.text.split('\n\n');
  expect(first).toMatch(/^With one line among its imports an application under test sends nothing to a real broker/);
});

test('docs/testing.md lists the options of a wait, and the members of the probe', async () => {
  const module = await Test.createTestingModule({ imports: [MessagingTestingModule.forRoot()] })
    .setLogger(new CapturedLog())
    .compile();
  const probe = module.get(MessagingProbe);
  const refusal = await probe.handled({}, { nonsense: 1 } as never).catch((error: unknown) => error);
  const known = (refusal as InvalidOptionError).allowed.replace(/^.*are: /, '').split(', ');
  const waits = page.section('Waiting').table();
  expect(waits.map((row) => code(row.option))).toEqual(known);
  const members = page
    .section('Time by hand')
    .table()
    .map((row) => code(Object.values(row)[0]));
  const internal = ['constructor', 'substitute', 'created', 'close', 'wait', 'anythingPending'];
  const actual = Object.getOwnPropertyNames(MessagingProbe.prototype).filter((name) => !internal.includes(name));
  expect(members.sort()).toEqual(actual.sort());
  await module.close();
});

test('docs/testing.md shows how a test runner is given the contract of a transport', async () => {
  const registered: { name: string; skip: boolean; run: () => Promise<void> }[] = [];
  const fake = (name: string, { skip }: { skip: boolean }, body: () => Promise<void>): void =>
    void registered.push({ name, skip, run: body });
  jest.doMock('node:test', () => ({ test: fake }));
  const [block] = page.section('The contract of a transport').blocks('ts');
  const file = scratchFolder('testing')('contract.ts', block.code);
  const { contract } = (await import(file)) as { contract: (harness: TransportHarness) => void };
  contract(memoryHarness());
  expect(registered.map(({ name }) => name)).toEqual(transportContract(memoryHarness()).map(({ name }) => name));
  expect(registered.filter(({ skip }) => !skip).length).toBeGreaterThan(20);
  await registered.find(({ skip }) => !skip)!.run();
});
