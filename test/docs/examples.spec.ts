import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { memory, MemoryBroker, Messaging, MessagingModule, UnrecoverableError } from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, CapturedLog, closeApplications, Seen } from '../e2e/support/application.js';
import { curl, curlLines } from '../e2e/support/curl.js';
import { code, type CodeBlock, Markdown } from './markdown.js';
import { isModule, type SnippetScope, wrapSnippet } from './snippet.js';
import { scratchFolder, typeErrors } from './type-check.js';

const pages = ['README.md', 'docs/publishing.md', 'docs/handlers.md', 'docs/events.md'];
const write = scratchFolder('examples');
const fileOf = (page: string, { line }: CodeBlock): string => `${page}:${line}`;
const files = new Map(
  pages.flatMap((page) =>
    Markdown.read(page)
      .blocks('ts')
      .map((block) => {
        const name = `${page.replace(/\W/g, '-')}-${block.line}.ts`;
        return [fileOf(page, block), write(name, isModule(block) ? block.code : wrapSnippet(block))] as const;
      }),
  ),
);
const executed = new Set<string>();

/** The blocks of a section, each as what its module exports. */
function blocksOf(page: string, section: string): (() => Promise<any>)[] {
  return Markdown.read(page)
    .section(section)
    .blocks('ts')
    .map((block: CodeBlock) => async () => {
      executed.add(fileOf(page, block));
      return (await import(files.get(fileOf(page, block))!)) as unknown;
    });
}

describe('every block of code', () => {
  let errors: Map<string, string[]>;
  beforeAll(() => {
    errors = typeErrors([...files.values()]);
  }, 120_000);

  test.each([...files])('%s has the right types', (_, file) => {
    expect(errors.get(file)).toEqual([]);
  });
});

describe('the code at work:', () => {
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

  describe('the application of README.md', () => {
    const lines = curlLines(Markdown.read('README.md').section('Use').blocks('sh')[0].code);
    const log = new CapturedLog();
    let app: INestApplication;
    let address: string;

    beforeAll(async () => {
      const [main] = blocksOf('README.md', 'Use');
      const [health] = blocksOf('README.md', 'Health');
      const [{ AppModule }, { HealthModule }] = [await main(), await health()];
      app = (
        await Test.createTestingModule({ imports: [AppModule, HealthModule] })
          .setLogger(log)
          .compile()
      ).createNestApplication();
      await app.listen(0, '127.0.0.1');
      address = await app.getUrl();
    });
    afterAll(() => app.close());

    const answerOf = (line: string) => curl(line.replace('http://localhost:3000', address));

    test('publishes and handles, fails and redrives, as the commands below it say', async () => {
      const told = Markdown.read('README.md').section('Use').table();
      expect(told).toHaveLength(lines.length);
      const logged = (at: number): string => code(told[at]['in the log']);

      expect(await answerOf(lines[0])).toMatchObject({ status: 201, body: { outcome: 'confirmed' } });
      await waitFor(() => printed.all.includes(logged(0)), 'the handler');

      const lamp = await answerOf(lines[1]);
      expect(lamp).toMatchObject({ status: 201, body: { outcome: 'confirmed' } });
      await waitFor(async () => (await answerOf(lines[2])).body.length === 1, 'the dead letter');
      expect(log.lines.some((line) => line.includes('shop:order.created:dlq'))).toBe(true);
      const { status, body } = await answerOf(lines[2]);
      expect({ status, body }).toEqual({
        status: 200,
        body: [{ id: lamp.body.id, reason: 'unrecoverable', error: 'No lamp in stock' }],
      });

      expect(await answerOf(lines[3])).toMatchObject({ status: 201, body: { done: 1 } });
      await waitFor(() => printed.all.includes(logged(3)), 'the handler, after the redrive');
      expect((await answerOf(lines[2])).body).toEqual([]);

      const answers = [
        `"outcome":"${lamp.body.outcome}"`,
        ...JSON.stringify(body[0])
          .slice(1, -1)
          .split(/(?<="),/)
          .slice(1),
      ];
      for (const part of answers) expect(told.map(({ answer }) => answer).join()).toContain(part);
    });

    test('tells its health to two probes', async () => {
      const consumers = [{ queue: 'shop:order.created:queue', state: 'consuming' }];
      for (const probe of ['ready', 'live']) {
        expect(await curl(`curl ${address}/health/${probe}`)).toMatchObject({
          status: 200,
          body: { status: 'ok', info: { messaging: { state: 'up', consumers } } },
        });
      }
      (app.get(Messaging).native() as MemoryBroker).faults.refuse();
      (app.get(Messaging).native() as MemoryBroker).faults.disconnect();
      expect((await curl(`curl ${address}/health/ready`)).status).toBe(503);
      expect((await curl(`curl ${address}/health/live`)).status).toBe(200);
    });

    test('has thirty lines, give or take a few', () => {
      expect(Markdown.read('README.md').section('Use').blocks('ts')[0].code.split('\n').length).toBeLessThanOrEqual(36);
    });
  });

  test('the options for RabbitMQ are accepted, and the broker may be down', async () => {
    const before = process.env.AMQP_URL;
    process.env.AMQP_URL = 'amqp://127.0.0.1:1';
    try {
      const { AppModule } = await blocksOf('README.md', 'Use')[1]();
      const { messaging } = await boot({ imports: [AppModule] });
      expect(messaging.health()).toMatchObject({ status: 'down', connection: { host: '127.0.0.1:1/' } });
    } finally {
      if (before === undefined) delete process.env.AMQP_URL;
      else process.env.AMQP_URL = before;
    }
  });

  test('publish', async () => {
    const { handled } = await run(blocksOf('docs/publishing.md', 'Publishing')[0]);
    await handled.until(4);
    expect([...handled.all].sort()).toEqual(['book', 'ink', 'nib', 'pen']);
    expect(printed.all.at(-1)).toMatch(/^[0-9a-f-]{36} confirmed confirmed$/);
  });

  test('Handlers', async () => {
    const { scope } = await run(blocksOf('docs/handlers.md', 'Handlers')[0]);
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
    const { handled, scope } = await run(blocksOf('docs/handlers.md', 'Pause and resume')[0]);
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

  test('Events', async () => {
    const { scope } = await run(blocksOf('docs/events.md', 'Events')[0]);
    await deadLetter(scope, 'dead-2');
    await waitFor(() => printed.all.includes('dead-2 unrecoverable'), 'the first event');
    broker.faults.nackNext(1);
    const { settled } = await scope.publisher.publish('order.created', { item: 'book' }, { id: 'queued-1' });
    expect(printed.all).toContain('queued-1 PUBLISH_FAILED');
    await settled;
  });

  test('no block was left out', () => {
    expect([...executed].sort()).toEqual([...files.keys()].sort());
    expect(executed.size).toBeGreaterThan(5);
  });

  test('the health answer has the documented shape', async () => {
    application = await boot({ imports: [MessagingModule.forRoot({ service: 'orders' })] });
    const messaging = application.app.get(Messaging);
    await messaging.subscribe({ route: 'order.created' }, () => undefined);
    await (messaging as any).parts.counts.refresh();
    const documented = JSON.parse(
      Markdown.read('docs/operating.md').section('Health').blocks('json')[0].code,
    ) as unknown;
    expect(shape(messaging.health())).toEqual(shape(documented));
  });
});

/** The same value with every text and number replaced by its type. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]));
}
