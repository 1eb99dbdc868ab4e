import { describe, expect, test } from '@jest/globals';
import { memory, memoryDeadLetterArchive, partitioned } from 'nestjs-messaging';
import { assemble } from '../../../lib/messaging.assembly.js';
import { Messaging } from '../../../lib/messaging.js';
import { resolveOptions } from '../../../lib/messaging.options.js';
import type { SubscribeRequest } from '../../../lib/consumer/subscription/subscription-options.js';
import { Application } from '../support/application.js';
import { FakeTransport } from '../support/fake-transport.js';
import { queueless } from '../support/queueless.js';

const UNSEEN =
  'The queues of fake cannot be looked into: their dead letters can be seen, counted, redriven and deleted in an archive only. Give the option «deadLetters.archive»';

function blind(): FakeTransport {
  const transport = new FakeTransport();
  transport.queues = undefined;
  return transport;
}

/** Starts a subscription as a decorated one is, and returns what is told. */
async function boot(app: Application, request: Partial<SubscribeRequest> = {}): Promise<string[]> {
  const definition = app.messaging.definitions.define({ route: 'order.created', ...request })!;
  const consumer = app.messaging.addConsumer({ definition, handler: () => undefined });
  await app.messaging.startConsumers([consumer]);
  return app.lines;
}

describe('what a broker cannot do', () => {
  test('that its dead letters cannot be seen is a warning at boot, with the remedy', async () => {
    expect(await boot(new Application({}, blind()))).toContain(`warn: ${UNSEEN}`);
  });

  test('and none where it has queues, an archive, or no subscription with dead letters', async () => {
    const none = expect.not.arrayContaining([expect.stringContaining('cannot be looked into')]);
    expect(await boot(new Application({}, new FakeTransport()))).toEqual(none);
    const volatile = new FakeTransport({ durable: false });
    volatile.queues = undefined;
    const archived = new Application({ deadLetters: { archive: memoryDeadLetterArchive() } }, volatile);
    expect(await boot(archived)).toEqual(none);
    expect(await boot(new Application({}, blind()), { dlq: false })).toEqual(none);
  });

  test('asked for the dead letters of a queue it refuses, with the remedy; those of the publisher are seen', async () => {
    const { messaging } = new Application({}, blind());
    const { deadLetters } = messaging;
    await messaging.subscribe({ route: 'order.created' }, () => undefined);
    const refused = expect.objectContaining({ code: 'UNSUPPORTED', message: UNSEEN });
    const one = { subscription: 'order.created' };
    await expect(deadLetters.count(one)).rejects.toEqual(refused);
    await expect(deadLetters.list(one)).rejects.toEqual(refused);
    await expect(deadLetters.redrive(one)).rejects.toEqual(refused);
    await expect(deadLetters.delete({ ...one, all: true })).rejects.toEqual(refused);
    expect([await deadLetters.count(), await deadLetters.list()]).toEqual([0, []]);
  });

  test('unbinding is refused', async () => {
    const { messaging } = new Application({}, blind());
    const subscription = await messaging.subscribe({ route: 'order.created' }, () => undefined);
    await expect(subscription.unbind()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'The queues of fake cannot be looked into: nothing can be unbound',
    });
  });

  test('health and the watch for standstills do without', async () => {
    const app = new Application({}, blind());
    await boot(app);
    app.messaging.startCounting();
    await app.clock.advance(600_000);
    expect(app.messaging.health().deadLetters).toEqual({ publisher: 0, queues: [] });
  });

  test('a pattern is refused where the broker has no wildcards, with the remedy; a route is not', async () => {
    const { messaging } = new Application({}, new FakeTransport({ wildcards: false }));
    for (const route of ['order.*', ['order.paid', 'order.#']])
      await expect(messaging.subscribe({ route, name: 'orders' }, () => undefined)).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/^fake has no wildcards.*order\.[*#].*List the routes, with a «name»/),
      });
    await messaging.subscribe({ route: ['order.paid', 'order.created'], name: 'orders' }, () => undefined);
  });

  test('that the order of a key ends with the process is told at boot', async () => {
    const keyed = { concurrency: partitioned() };
    const told = expect.arrayContaining([
      expect.stringContaining('«orders:order.created:queue»: messages of one key keep their order within one process'),
    ]);
    expect(await boot(new Application({}, new FakeTransport({ keyOrder: 'none' })), keyed)).toEqual(told);
    expect(await boot(new Application({}, new FakeTransport({ keyOrder: 'none' })))).not.toEqual(told);
    for (const keyOrder of ['queue', 'key'] as const)
      expect(await boot(new Application({}, new FakeTransport({ keyOrder })), keyed)).not.toEqual(told);
  });
});

describe('an archive of dead letters that nobody can look at in their queue', () => {
  test('gets them by consuming, acks what it has kept, and redrives it', async () => {
    const { clock } = new Application();
    const options = { service: 'orders', transport: queueless(memory()), clock };
    const archive = memoryDeadLetterArchive();
    const log = { log: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
    const resolved = resolveOptions({ ...options, deadLetters: { archive }, retry: false });
    const messaging = new Messaging('default', resolved, assemble('default', resolved, log));
    await messaging.connect();
    let failing = true;
    const handled: string[] = [];
    await messaging.subscribe({ route: 'order.created' }, (_, { id }) => {
      if (failing) throw new Error('no');
      handled.push(id);
    });
    messaging.startCounting();
    for (let at = 0; at < 60; at++) await messaging.publisher.publish('order.created', {}, { id: `m${at}` });
    await clock.advance(600_000);
    const kept = await messaging.deadLetters.archive.list({}, { limit: 100 });
    expect(new Set(kept.map(({ id }) => id)).size).toBe(60);
    failing = false;
    await messaging.deadLetters.archive.allowRetry({ ids: ['m7'] });
    await clock.advance(600_000);
    expect(handled).toEqual(['m7']);
  });
});
