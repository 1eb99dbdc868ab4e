import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { systemClock } from 'nestjs-messaging';
import { transportContract, type TransportHarness } from 'nestjs-messaging/testing';
import type { Delivery } from 'nestjs-messaging/transport';
import { files } from './files.js';
import { Folders } from './folders.js';

const MOST_LINES = 400;

/** What a stranger writes: a transport out of the public parts of this package, over files on the disk. */
describe('a transport as a stranger would write it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'stranger-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const sources = readdirSync(__dirname).filter((name) => !name.endsWith('.spec.ts'));
  const textOf = (name: string): string => readFileSync(join(__dirname, name), 'utf8');

  it(`has at most ${MOST_LINES} lines, counted as lint counts them: without empty ones and comments`, () => {
    const isCode = (line: string): boolean => !/^\s*($|\/\/|\/\*|\*)/.test(line);
    const lines = sources.reduce((sum, name) => sum + textOf(name).split('\n').filter(isCode).length, 0);
    expect(lines).toBeLessThanOrEqual(MOST_LINES);
  });

  it('imports what is public, and nothing else of this package', () => {
    for (const name of sources)
      for (const [, from] of textOf(name).matchAll(/from '([^']+)'/g))
        expect(from).toMatch(/^(node:\w+|nestjs-messaging(\/transport)?|\.\/(files|folders|session|stored)\.js)$/);
  });

  const harness: TransportHarness = {
    name: 'files',
    capabilities: files(directory).create().capabilities,
    lacks: ['queues'],
    create: ({ maxBytes } = {}) => files(directory, { maxBytes }).create(),
    environment: () => ({
      clock: systemClock,
      service: 'contract',
      random: Math.random,
      reconnect: { initial: 20, max: 200, jitter: 0.2 },
      confirmTimeout: 5_000,
      provision: true,
    }),
    remove: async () => {
      for (const queue of readdirSync(directory)) rmSync(join(directory, queue), { recursive: true, force: true });
    },
  };
  const cases = transportContract(harness);

  for (const { name, unmet, run } of cases) if (unmet.length === 0) it(name, run);

  it('has what a process had taken that is gone', async () => {
    const topology = { queue: 'recovered', patterns: [], provision: true };
    const onEvent = (): void => {};
    const [first, second] = [harness.create(), harness.create()];
    await first.connect({ ...harness.environment(), onEvent });
    await first.declare(topology);
    const message = { id: 'm', route: 'a', body: Buffer.from('x'), headers: {}, properties: {} };
    const to = { kind: 'queue', queue: topology.queue } as const;
    await new Promise<void>((done) => first.publish([{ to, message, dedupeId: 'm', mandatory: true }], () => done()));
    await first.close();
    const folders = new Folders(directory, 'events');
    const [name] = folders.ready(topology.queue);
    folders.take(topology.queue, name, '999999999-1');
    await second.connect({ ...harness.environment(), onEvent });
    const delivery = await new Promise<Delivery>((resolve) => {
      const handlers = { delivery: resolve, lost: onEvent, state: onEvent };
      void second.subscribe({ topology, prefetch: 1 }, handlers);
    });
    expect([delivery.message.id, delivery.deliveryCount]).toEqual(['m', 1]);
    delivery.ack();
    await second.close();
  });

  it('leaves out only what it has no capability for, and what would have to be done to a broker', () => {
    const left = cases.filter(({ unmet }) => unmet.length > 0);
    const faults = [
      'disconnect',
      'refuse',
      'dropConfirms',
      'block',
      'cancel',
      'deleteQueue',
      'deleteDelays',
      'poison',
      'restart',
    ];
    const missing = [
      'queues',
      'listQueues',
      'redelivery',
      'lease',
      'secret',
      'misconfigured',
      'peer',
      'replies',
      'provisioning',
      ...faults,
    ];
    expect([...new Set(left.flatMap(({ unmet }) => unmet))].sort()).toEqual(missing.sort());
    expect(cases.length - left.length).toBeGreaterThanOrEqual(55);
  });
});
