import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import * as root from 'nestjs-messaging';
import { checkKillSwitch } from '../../lib/consumer/kill-switch.js';
import { defineIdempotent } from '../../lib/idempotency/idempotent-options.js';
import { RetryPolicy } from '../../lib/retry/retry-policy.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { code, Markdown } from './markdown.js';
import { isModule, type SnippetScope, wrapSnippet } from './snippet.js';
import { scratchFolder, typeErrors } from './type-check.js';

/** The options that the code knows of what a page documents, as it tells them to who uses another. */
const options: Record<string, (unknown: object) => unknown> = {
  'docs/ordering.md': (unknown) => root.partitioned(unknown),
  'docs/kill-switch.md': (unknown) => checkKillSwitch({ failures: 1, ...unknown }),
  'docs/idempotency.md': (idempotent) =>
    defineIdempotent(idempotent, new RetryPolicy({}), root.memoryIdempotencyStore()),
};

const write = scratchFolder('pages');
const pages = [...Object.keys(options), 'docs/routing.md', 'docs/contracts.md'];
const blocks = pages.flatMap((page) =>
  Markdown.read(page)
    .blocks('ts')
    .map((block) => {
      const name = `${page.replace(/\W/g, '-')}-${block.line}.ts`;
      return [`${page}:${block.line}`, write(name, isModule(block) ? block.code : wrapSnippet(block))] as const;
    }),
);

describe('the code of the pages in docs', () => {
  let errors: Map<string, string[]>;
  beforeAll(() => {
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
    errors = typeErrors(blocks.map(([, file]) => file));
  }, 120_000);
  afterEach(closeApplications);

  test.each(blocks)('%s has the right types, and runs', async (_, file) => {
    expect(errors.get(file)).toEqual([]);
    const { messaging } = await boot({ imports: [MessagingModule.forRoot({ service: 'orders' })] });
    const scope: SnippetScope = { messaging, publisher: messaging.publisher, deadLetters: messaging.deadLetters };
    const { default: snippet } = (await import(file)) as { default?: (scope: SnippetScope) => Promise<void> };
    // Others export what a reader uses under a test runner.
    await snippet?.(scope);
  });
});

test.each(Object.entries(options))('%s lists the options of the code', (page, use) => {
  let known: string[] = [];
  try {
    use({ nonsense: 1 });
  } catch (error) {
    known = (error as root.InvalidOptionError).allowed.replace(/^.*are: /, '').split(', ');
  }
  const documented = Markdown.read(page)
    .table()
    .map((row) => code(row.option));
  expect(documented.sort()).toEqual(known.sort());
});
