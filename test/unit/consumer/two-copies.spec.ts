import { expect, jest, test } from '@jest/globals';
import * as errors from 'nestjs-messaging';
import { memory, Outcome } from 'nestjs-messaging';
import { scheduleOf } from '../../../lib/retry/backoff.js';
import { start } from '../support/application.js';
import { confirmed } from '../support/fake-transport.js';

type Package = typeof errors;

/** A second copy of the package, as a monorepo loads it. */
let copy!: Package;
jest.isolateModules(() => {
  copy = jest.requireActual<Package>('nestjs-messaging');
});

const CLASSES = Object.entries(errors).filter(
  ([, value]) => typeof value === 'function' && value.prototype instanceof Error,
) as unknown as [string, new (...args: unknown[]) => Error][];

async function call(handler: () => unknown, options: object = {}) {
  const app = await start({ retry: { attempts: 3, backoff: 5 } });
  app.transport.answer = () => confirmed;
  const settled = app.record('settled');
  const subscription = await app.subscribe(handler, options);
  const delivery = subscription.deliver();
  for (let turn = 0; turn < 5; turn++) await app.turn();
  return { app, settled, delivery };
}

test('it is another copy', () => {
  expect(copy.Outcome).not.toBe(Outcome);
  expect(copy.UnrecoverableError).not.toBe(errors.UnrecoverableError);
});

test.each(CLASSES)('%s of one copy is that of the other, and no other class', (name, type) => {
  const made = Object.create((copy as never as Record<string, typeof type>)[name].prototype as object) as object;
  expect(made).toBeInstanceOf(type);
  expect(made).toBeInstanceOf(errors.MessagingError);
  const others = CLASSES.filter(([, other]) => other !== type && !(type.prototype instanceof other));
  expect(others.filter(([, other]) => made instanceof other)).toEqual([]);
});

test('a class of the application that extends one of them is told by its identity', () => {
  class Own extends errors.UnrecoverableError {}
  expect(new errors.UnrecoverableError()).not.toBeInstanceOf(Own);
  expect(new Own()).toBeInstanceOf(copy.UnrecoverableError);
});

test('an Outcome of the other copy decides', async () => {
  const { app, delivery } = await call(() => copy.Outcome.retry(50));
  expect(app.transport.last.message.headers).toMatchObject({ 'messaging-attempt': 2 });
  expect(delivery.settlements).toEqual(['ack']);
});

test('an Outcome.ack of the other copy completes an idempotent message', async () => {
  const { app, settled } = await call(() => copy.Outcome.ack, { idempotent: true });
  app.transport.subscriptions[0].deliver({ id: 'm1' });
  await app.turn();
  expect(settled.map(({ outcome }) => outcome)).toEqual(['ack', 'ack']);
  expect(app.messaging.health().consumers[0].idempotency).toMatchObject({ duplicates: 1 });
});

test('an UnrecoverableError of the other copy is not retried, a RetryLaterError waits as it says', async () => {
  const unrecoverable = await call(() => Promise.reject(new copy.UnrecoverableError('no')));
  expect(unrecoverable.app.transport.last.message.headers).toMatchObject({
    'messaging-reason': 'unrecoverable',
    'messaging-error-code': 'UNRECOVERABLE',
  });
  const later = await call(() => Promise.reject(new copy.RetryLaterError(77_000)));
  const { clock, transport } = later.app;
  expect(transport.last.dueAt).toBe(clock.now() + 77_000);
});

test('options made by the other copy are those of this one', () => {
  expect(scheduleOf(copy.exponential({ initial: 5 }))).toEqual(scheduleOf(errors.exponential({ initial: 5 })));
  expect(() => memory({ broker: new copy.MemoryBroker() })).not.toThrow();
});

test('a bound made by the other copy counts batches', async () => {
  const app = await start();
  await app.messaging.subscribeBatch({ route: 'r', size: 2, concurrency: copy.bounded(2) }, () => undefined);
  expect(app.transport.subscriptions[0].options.prefetch).toBe(6);
});
