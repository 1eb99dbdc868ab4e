import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { memory, MemoryBroker, Messaging, MessagingModule, UnrecoverableError } from 'nestjs-messaging';
import { transportContract } from 'nestjs-messaging/testing';
import { memoryHarness } from '../contract/memory.harness.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, CapturedLog, closeApplications, Seen } from '../e2e/support/application.js';
import { type CodeBlock, Markdown } from './markdown.js';
import { isModule, type SnippetScope, wrapSnippet } from './snippet.js';
import { scratchFolder, typeErrors } from './type-check.js';

const readme = Markdown.read('README.md');
const write = scratchFolder('readme');
const files = new Map(
  readme
    .blocks('ts')
    .map((block) => [block.line, write(`line-${block.line}.ts`, isModule(block) ? block.code : wrapSnippet(block))]),
);
const executed = new Set<number>();

/** The blocks of a section, each as what its module exports. */
function blocksOf(section: string): (() => Promise<any>)[] {
  return readme
    .section(section)
    .blocks('ts')
    .map((block: CodeBlock) => async () => {
      executed.add(block.line);
      return (await import(files.get(block.line)!)) as unknown;
    });
}

describe('README.md, every block of code', () => {
  let errors: Map<string, string[]>;
  beforeAll(() => {
    errors = typeErrors([...files.values()]);
  }, 120_000);

  test.each([...files])('the one at line %i has the right types', (_, file) => {
    expect(errors.get(file)).toEqual([]);
  });
});

describe('README.md, its code at work:', () => {
  const printed = new Seen<string>();
  const broker = new MemoryBroker();
  let application: Application;

  beforeAll(() => {
    jest.spyOn(console, 'log').mockImplementation((...parts: unknown[]) => printed.add(parts.join(' ')));
  });
  afterEach(closeApplications);

  /** Runs a snippet in an application that has a subscription to `order.created`. */
  async function run(
    block: () => Promise<any>,
    before?: (scope: SnippetScope) => Promise<unknown>,
  ): Promise<{ handled: Seen<string>; scope: SnippetScope }> {
    const handled = new Seen<string>();
    application = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: memory({ broker }) })],
    });
    const { messaging } = application;
    await messaging.subscribe<{ item: string }>({ route: 'order.created' }, ({ item }) => {
      if (item === 'broken') throw new UnrecoverableError('cannot be packed');
      handled.add(item);
    });
    const scope = { messaging, publisher: messaging.publisher, deadLetters: messaging.deadLetters };
    await before?.(scope);
    const { default: snippet } = (await block()) as { default: (scope: SnippetScope) => Promise<void> };
    await snippet(scope);
    return { handled, scope };
  }

  async function deadLetter({ publisher, deadLetters }: SnippetScope, id: string): Promise<void> {
    await publisher.publish('order.created', { item: 'broken' }, { id });
    await waitFor(async () => (await deadLetters.count()) > 0, 'the dead letter');
  }

  describe('the application', () => {
    let app: INestApplication;
    let url: string;

    beforeAll(async () => {
      const [main] = blocksOf('Use');
      const { AppModule } = await main();
      app = (
        await Test.createTestingModule({ imports: [AppModule] })
          .setLogger(new CapturedLog())
          .compile()
      ).createNestApplication();
      await app.listen(0, '127.0.0.1');
      url = await app.getUrl();
    });

    test('publishes, handles and tells its health', async () => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${url}/orders`, { method: 'POST', headers, body: '{"item":"book"}' });
      const { id, outcome } = (await answer.json()) as { id: string; outcome: string };
      expect({ status: answer.status, outcome }).toEqual({ status: 201, outcome: 'confirmed' });
      await waitFor(() => printed.all.includes(`${id}: book, call 1`), 'the handler');
      const health = await fetch(`${url}/health`);
      expect(health.status).toBe(200);
      expect(await health.json()).toMatchObject({
        status: 'ok',
        info: { messaging: { state: 'up', consumers: [{ queue: 'orders:order.created:queue', state: 'consuming' }] } },
      });
      await app.close();
    });

    test('has thirty lines, give or take a few', () => {
      expect(readme.section('Use').blocks('ts')[0].code.split('\n').length).toBeLessThanOrEqual(36);
    });
  });

  test('the options for RabbitMQ are accepted, and the broker may be down', async () => {
    const before = process.env.AMQP_URL;
    process.env.AMQP_URL = 'amqp://127.0.0.1:1';
    try {
      const { AppModule } = await blocksOf('Use')[1]();
      const { messaging } = await boot({ imports: [AppModule] });
      expect(messaging.health()).toMatchObject({ status: 'down', connection: { host: '127.0.0.1:1/' } });
    } finally {
      if (before === undefined) delete process.env.AMQP_URL;
      else process.env.AMQP_URL = before;
    }
  });

  test('publish', async () => {
    const { handled } = await run(blocksOf('publish')[0]);
    await handled.until(4);
    expect([...handled.all].sort()).toEqual(['book', 'ink', 'nib', 'pen']);
    expect(printed.all.at(-1)).toMatch(/^[0-9a-f-]{36} confirmed confirmed$/);
  });

  test('Handlers', async () => {
    const { scope } = await run(blocksOf('Handlers')[0]);
    await scope.publisher.publish('order.paid', { item: 'book' }, { headers: { tenant: 'blue' } });
    await waitFor(() => printed.all.includes('order.paid [object Object] 1 false'), 'the handler');
    await scope.publisher.publish('order.paid', {});
    await waitFor(async () => (await scope.deadLetters.count({ subscription: 'mail' })) === 1, 'the dead letter');
    await scope.publisher.publish('order.paid', { item: 'later' });
    await waitFor(() => broker.delayed === 1, 'the delayed retry');
    expect((await scope.deadLetters.list({ subscription: 'mail' }))[0]).toMatchObject({
      reason: 'unrecoverable',
      error: { message: 'An order without an item' },
    });
    await scope.deadLetters.delete({ all: true });
  });

  test('Handlers, paused', async () => {
    const { handled, scope } = await run(blocksOf('Handlers')[1]);
    expect(printed.all.at(-1)).toBe('paused');
    scope.messaging.pause('order.created');
    await scope.publisher.publish('order.created', { item: 'book' });
    await waitFor(() =>
      broker.queues().some(({ name, ready }) => name === 'orders:order.created:queue' && ready === 1),
    );
    expect(handled.all).toEqual([]);
    scope.messaging.resume('order.created');
    await handled.until(1);
  });

  test('A retry queue on disk', async () => {
    await expect(blocksOf('A retry queue on disk')[0]()).resolves.toBeDefined();
  });

  test('Dead letters', async () => {
    const { scope } = await run(blocksOf('Dead letters')[0], (before) => deadLetter(before, 'dead-1'));
    expect(printed.all.at(-1)).toBe('1 dead-1 unrecoverable 1 cannot be packed');
    await waitFor(async () => (await scope.deadLetters.count()) === 1, 'the redriven message, given up again');
    await scope.deadLetters.delete({ all: true });
  });

  test('Events', async () => {
    const { scope } = await run(blocksOf('Events')[0]);
    await deadLetter(scope, 'dead-2');
    await waitFor(() => printed.all.includes('dead-2 unrecoverable'), 'the first event');
    broker.faults.nackNext(1);
    const { settled } = await scope.publisher.publish('order.created', { item: 'book' }, { id: 'queued-1' });
    expect(printed.all).toContain('queued-1 PUBLISH_FAILED');
    await settled;
  });

  describe('Testing', () => {
    test('on a broker that can be made to fail', async () => {
      await run(blocksOf('Testing')[0]);
    });

    test('a transport', async () => {
      const registered: { name: string; skip: boolean; run: () => Promise<void> }[] = [];
      const fake = (name: string, { skip }: { skip: boolean }, body: () => Promise<void>): void =>
        void registered.push({ name, skip, run: body });
      jest.doMock('node:test', () => ({ test: fake }));
      const { contract } = await blocksOf('Testing')[1]();
      contract(memoryHarness());
      expect(registered.map(({ name }) => name)).toEqual(transportContract(memoryHarness()).map(({ name }) => name));
      expect(registered.filter(({ skip }) => !skip).length).toBeGreaterThan(20);
      await registered.find(({ skip }) => !skip)!.run();
    });
  });

  test('no block was left out', () => {
    expect([...executed].sort(byNumber)).toEqual([...files.keys()].sort(byNumber));
    expect(executed.size).toBeGreaterThan(5);
  });

  test('the health answer has the documented shape', async () => {
    application = await boot({ imports: [MessagingModule.forRoot({ service: 'orders' })] });
    const messaging = application.app.get(Messaging);
    await messaging.subscribe({ route: 'order.created' }, () => undefined);
    await (messaging as any).counts.refresh();
    const documented = JSON.parse(readme.section('Health').blocks('json')[0].code) as unknown;
    expect(shape(messaging.health())).toEqual(shape(documented));
  });
});

/** The same value with every text and number replaced by its type. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]));
}

function byNumber(a: number, b: number): number {
  return a - b;
}
