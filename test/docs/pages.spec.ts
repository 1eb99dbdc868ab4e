import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { MessagingModule } from 'nestjs-messaging';
import { openTelemetry } from 'nestjs-messaging/opentelemetry';
import * as root from 'nestjs-messaging';
import { postgresIdempotencyStore } from 'nestjs-messaging/stores';
import { MessagingTestingModule } from 'nestjs-messaging/testing';
import { memoryTransactionRecords } from 'nestjs-messaging/transaction';
import { checkOptions as checkAsyncApiOptions } from '../../lib/asyncapi/options.js';
import { defineBatchSubscription } from '../../lib/consumer/subscription/batch-definition.js';
import { checkKillSwitch } from '../../lib/consumer/kill-switch.js';
import { OPTION_NAMES } from '../../lib/consumer/subscription/subscription-definition.js';
import { defineIdempotent } from '../../lib/idempotency/idempotent-options.js';
import { resolveOptions } from '../../lib/messaging.options.js';
import { RetryPolicy } from '../../lib/retry/retry-policy.js';
import { resolveTransactions } from '../../lib/transaction/transaction-options.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { code, Markdown } from './markdown.js';
import { isModule, type SnippetScope, wrapSnippet } from './snippet.js';
import { scratchFolder, typeErrors } from './type-check.js';

/** The options that the code knows of what a page documents, as it tells them to who uses another. */
const options: Record<string, (unknown: object) => unknown> = {
  'docs/asyncapi.md': (unknown) => checkAsyncApiOptions(unknown),
  'docs/ordering.md': (unknown) => root.partitioned(unknown),
  'docs/opentelemetry.md': (unknown) => openTelemetry(unknown),
  'docs/transactional-send.md': (unknown) => resolveTransactions({ store: memoryTransactionRecords(), ...unknown }),
  'docs/postgres.md': (unknown) => postgresIdempotencyStore(unknown),
  'docs/testing.md': (unknown) => MessagingTestingModule.forRoot(unknown),
  'docs/kill-switch.md': (unknown) => checkKillSwitch({ failures: 1, ...unknown }),
  'docs/idempotency.md': (idempotent) =>
    defineIdempotent(idempotent, new RetryPolicy({}), root.memoryIdempotencyStore()),
};

const DEFAULTS = {
  service: 'orders',
  instance: 'host-1',
  system: 'memory',
  provision: true,
  retry: {},
  middleware: [],
  maxDelayMs: 1_000,
};

const write = scratchFolder('pages');
/** The pages whose code other tests run. */
const elsewhere = ['publishing', 'handlers', 'events', 'requeue', 'wire'].map((name) => `docs/${name}.md`);
const pages = readdirSync(resolve(__dirname, '../../docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
  .filter((page) => !elsewhere.includes(page));
const blocks = pages.flatMap((page) =>
  Markdown.read(page)
    .blocks('ts')
    .map((block) => {
      const name = `${page.replace(/\W/g, '-')}-${block.line}.ts`;
      return [`${page}:${block.line}`, write(name, isModule(block) ? block.code : wrapSnippet(block))] as const;
    }),
);

@Injectable()
class Invoices {
  @root.Subscribe('invoice.due')
  due(): void {}
}

describe('the code of the pages in docs', () => {
  let errors: Map<string, string[]>;
  beforeAll(() => {
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
    errors = typeErrors(blocks.map(([, file]) => file));
  }, 120_000);
  afterEach(closeApplications);

  test.each(blocks)('%s has the right types, and runs', async (_, file) => {
    expect(errors.get(file)).toEqual([]);
    const text = readFileSync(file, 'utf8');
    // Code that stands for itself, about a subscription that the page has shown.
    const providers = text.includes("('invoice.due'") ? [Invoices] : [];
    const { messaging } = await boot({ imports: [MessagingModule.forRoot({ service: 'orders' })], providers });
    const scope: SnippetScope = { messaging, publisher: messaging.publisher, deadLetters: messaging.deadLetters };
    const { default: snippet } = (await import(file)) as { default?: (scope: SnippetScope) => Promise<void> };
    // For a loop that waits for one: it comes once the queue is there.
    if (text.includes("of messaging.receive('order.created')"))
      await messaging.publisher.publish('order.created', { item: 'book' }, { unroutable: 'queue' });
    // Others export what a reader uses under a test runner.
    await snippet?.(scope);
  });
});

/** The option names that the code knows, as it tells them to who uses another. */
function knownNames(use: (unknown: object) => unknown): string[] {
  try {
    use({ nonsense: 1 });
  } catch (error) {
    return (error as root.InvalidOptionError).allowed.replace(/^.*are: /, '').split(', ');
  }
  throw new Error('A name that does not exist was accepted');
}

test.each(Object.entries(options))('%s lists the options of the code', (page, use) => {
  const known = knownNames(use);
  const documented = Markdown.read(page)
    .tables()
    .find(([first]) => 'option' in first)!
    .map((row) => code(row.option));
  expect(documented.sort()).toEqual(known.sort());
});

describe('docs/batches.md', () => {
  const page = Markdown.read('docs/batches.md');
  const optionsOf = (section: string): Map<string, string> =>
    new Map(
      page
        .section(section)
        .table()
        .map((row) => [code(row.option), row.default]),
    );

  test('lists what batches have besides, or have otherwise than @Subscribe', () => {
    const single: readonly string[] = OPTION_NAMES;
    const known = knownNames((unknown) => defineBatchSubscription({ route: 'a', size: 1, ...unknown }, DEFAULTS));
    const listed = optionsOf('Options');
    expect(known.filter((name) => !single.includes(name)).sort()).toEqual(['maxWait', 'size']);
    expect(known).toEqual(expect.arrayContaining([...listed.keys()]));
    expect([...listed.keys()]).toEqual(expect.arrayContaining(['maxWait', 'size']));
    const { batch, prefetch } = defineBatchSubscription({ route: 'a', size: 7 }, DEFAULTS);
    expect(listed.get('maxWait')).toBe('`1_000`');
    expect({ batch, prefetch }).toEqual({ batch: { size: 7, maxWaitMs: 1_000, limit: 2 }, prefetch: 14 });
    const bound = defineBatchSubscription({ route: 'a', size: 7, concurrency: root.bounded(3) }, DEFAULTS);
    expect(bound.prefetch).toBe(28);
  });

  test('lists the options of the publisher that gathers, with their defaults', () => {
    const listed = optionsOf('A publisher that gathers');
    expect([...listed.keys()].sort()).toEqual(knownNames((batching) => resolveOptions({ batching })).sort());
    expect([...listed.values()]).toEqual(['`100`', '`2 ** 20`', '`5`']);
    expect(resolveOptions({ batching: {} }).batching).toEqual({ messages: 100, bytes: 2 ** 20, maxAge: 5 });
  });
});
