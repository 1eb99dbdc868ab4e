import { cpSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Program } from './support/program.js';

const DIST = resolve(__dirname, '../../dist');

/** One process with two copies of the package, as an application has where a library brings one of its own. */
const program = new Program(`
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { Catch, UseFilters } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as first from ${JSON.stringify(join(DIST, 'index.mjs'))};
import * as second from './copy/index.mjs';
const say = (...words) => appendFileSync(process.env.JOURNAL, words.join(' ') + '\\n');

const classes = Object.keys(first).filter((name) => first[name].prototype instanceof Error);
for (const name of classes) {
  assert.notEqual(first[name], second[name]);
  for (const [one, other] of [[first, second], [second, first]]) {
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

await run(first, second, 'first');
await run(second, first, 'second');
`);
cpSync(DIST, program.file('copy'), { recursive: true });

afterAll(() => program.close());

test('errors of one copy are those of the other in publisher, handler and filter', async () => {
  const process = program.start({});
  await process.ended;
  expect(process.output).toBe('');
  const [[, classes], ...lines] = program.lines();
  expect(Number(classes)).toBeGreaterThan(20);
  expect(lines.map((words) => words.join(' '))).toEqual(
    ['first', 'second'].flatMap((name) => [
      `${name} handler dead-letter 1`,
      `${name} filter REFUSED`,
      `${name} filtered discard`,
      `${name} publisher true false`,
    ]),
  );
});
