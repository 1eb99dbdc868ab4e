import { join, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Program } from './support/program.js';

const DIST = resolve(__dirname, '../../dist');

/** One process with both builds, as an application of ES modules has with a library of CommonJS. */
const program = new Program(`
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { appendFileSync } from 'node:fs';
import { Catch, UseFilters } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as esm from ${JSON.stringify(join(DIST, 'esm/index.js'))};
const cjs = createRequire(import.meta.url)(${JSON.stringify(join(DIST, 'cjs/index.js'))});
const say = (...words) => appendFileSync(process.env.JOURNAL, words.join(' ') + '\\n');

const classes = Object.keys(esm).filter((name) => esm[name].prototype instanceof Error);
for (const name of classes) {
  assert.notEqual(esm[name], cjs[name]);
  for (const [one, other] of [[esm, cjs], [cjs, esm]]) {
    const made = Object.create(one[name].prototype);
    assert.ok(made instanceof other[name] && made instanceof other.MessagingError, name);
    const wrong = classes.filter((it) => made instanceof other[it] && !(made instanceof one[it]));
    assert.deepEqual(wrong, [], name);
  }
}
say('classes', classes.length);

/** Runs an application of one copy, whose handlers, filters and publishers use the other one. */
async function run(own, other, name) {
  class Filter {
    catch(error) {
      say(name, 'filter', error.code);
      return other.Outcome.discard(error);
    }
  }
  Catch(other.RefusedError)(Filter);
  class Handlers {
    handled() {
      throw new other.UnrecoverableError('no');
    }
    filtered() {
      throw new own.RefusedError('guarded');
    }
  }
  const decorate = (method, ...decorators) => {
    for (const decorator of decorators)
      decorator(Handlers.prototype, method, Object.getOwnPropertyDescriptor(Handlers.prototype, method));
  };
  decorate('handled', own.Subscribe('handled'));
  decorate('filtered', own.Subscribe('filtered'), UseFilters(new Filter()));
  class Root {}
  const app = await NestFactory.createApplicationContext(
    { module: Root, imports: [own.MessagingModule.forRoot({ service: 'two', retry: { backoff: 5 } })], providers: [Handlers] },
    { logger: false },
  );
  const messaging = app.get(own.Messaging);
  const publisher = app.get(own.Publisher);
  const settled = (route) =>
    new Promise((resolve) => messaging.events.on('settled', (event) => event.delivery.message.route === route && resolve(event)));
  const [handled, filtered] = [settled('handled'), settled('filtered')];
  await publisher.publish('handled', {});
  const { outcome, attempt } = await handled;
  say(name, 'handler', outcome, attempt);
  await publisher.publish('filtered', {});
  say(name, 'filtered', (await filtered).outcome);
  const error = await publisher.publish('nobody', {}).catch((error) => error);
  say(name, 'publisher', error instanceof other.UnroutableError, error instanceof other.MessageTooLargeError);
  await app.close();
}

await run(esm, cjs, 'esm');
await run(cjs, esm, 'cjs');
`);

afterAll(() => program.close());

test('errors of one build are those of the other in publisher, handler and filter', async () => {
  const process = program.start({});
  await process.ended;
  expect(process.output).toBe('');
  const [[, classes], ...lines] = program.lines();
  expect(Number(classes)).toBeGreaterThan(20);
  expect(lines.map((words) => words.join(' '))).toEqual(
    ['esm', 'cjs'].flatMap((name) => [
      `${name} handler dead-letter 1`,
      `${name} filter REFUSED`,
      `${name} filtered discard`,
      `${name} publisher true false`,
    ]),
  );
});
