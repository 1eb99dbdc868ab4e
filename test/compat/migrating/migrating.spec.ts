import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { type MessageContext, MessagingModule, Publisher, type Receipt, type SubscribeRequest } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { request, Requester } from 'nestjs-messaging/request';
import { json, nestEnvelope, type Serializer } from 'nestjs-messaging/serializers';
import { npmFolderBesideBrokers } from '../../brokers/npm-folder.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { waitFor } from '../../brokers/wait-for.js';
import { Markdown } from '../../docs/markdown.js';
import { type Application, boot, closeApplications, event, Seen } from '../../e2e/support/application.js';

const { folder } = npmFolderBesideBrokers('request-peers', resolve(__dirname, '../../request/interop'));
const EXCHANGE = 'events';

interface Got {
  readonly seen: 'golevelup' | 'nest';
  readonly payload: unknown;
  readonly headers?: Record<string, unknown>;
}

/** What a handler of ours is called with. */
interface Call {
  readonly payload: unknown;
  readonly route: string;
  readonly id: string;
  readonly correlationId: string | undefined;
}

let url: string;
let peer: ChildProcess;
let model: ChannelModel;
let channel: Channel;
let application: Application;
const got = new Seen<Got>();

/** A handler of a queue of its own. */
async function handled(request: SubscribeRequest): Promise<Seen<Call>> {
  const calls = new Seen<Call>();
  await application.messaging.subscribe(request, (payload, { route, id, correlationId }: MessageContext) =>
    void calls.add({ payload, route, id, correlationId }),
  ); // prettier-ignore
  return calls;
}

async function they(act: 'publish' | 'emit' | 'send', told: object): Promise<void> {
  const done = new Promise<void>((settled) => {
    const look = (message: { done?: string }): void => {
      if (message.done === undefined) return;
      peer.off('message', look);
      settled();
    };
    peer.on('message', look);
  });
  peer.send({ act, ...told });
  await done;
}

const publisher = (): Publisher => application.get(Publisher);
const publish = (route: string, body: unknown, serializer: Serializer = json()): Promise<Receipt> =>
  publisher().publish(route, body, { serializer, headers: { tenant: 'blue' }, unroutable: 'ignore' });

/** One test for each row of the tables, called like the row. */
const rows: Record<string, () => Promise<void>> = {
  'JSON without a content type (golevelup)': async () => {
    const calls = await handled({ route: 'bare', idempotent: true, name: 'without' });
    const keyed = await handled({
      route: 'bare',
      name: 'with',
      idempotent: { key: ({ payload }) => (payload as { order: number }).order },
    });
    for (const order of [7, 7, 8]) await they('publish', { route: 'bare', body: { order } });
    expect((await calls.until(3)).map(({ payload }) => payload)).toEqual([{ order: 7 }, { order: 7 }, { order: 8 }]);
    expect((await keyed.until(2)).map(({ payload }) => payload)).toEqual([{ order: 7 }, { order: 8 }]);
  },

  "an empty body (golevelup's `undefined`)": async () => {
    const calls = await handled({ route: 'empty', serializer: json({ allowEmpty: true }), name: 'allowed' });
    await application.messaging.subscribe({ route: 'empty', name: 'not' }, () => undefined);
    const dead = event(application.messaging, 'dead-lettered');
    await they('publish', { route: 'empty' });
    expect(await calls.until(1)).toMatchObject([{ payload: undefined, route: 'empty' }]);
    expect(await dead).toMatchObject({ reason: 'undecodable' });
  },

  "`{ pattern, data }` (Nest's `emit`)": async () => {
    const serializer = nestEnvelope();
    const byRoute = await handled({ route: 'emitted', serializer });
    await channel.assertQueue('legacy', { durable: true });
    const byName = await handled({ route: 'legacy', queue: 'legacy', adopt: true, bind: false, serializer });
    for (const by of ['route', 'queue']) await they('emit', { by, pattern: 'emitted', body: { order: 7 } });
    for (const calls of [byRoute, byName])
      expect(await calls.until(1)).toMatchObject([{ payload: { order: 7 }, route: 'emitted' }]);
  },

  "`{ pattern, data, id }` (Nest's `send`)": async () => {
    const calls = await handled({ route: 'sent', serializer: nestEnvelope() });
    await they('send', { by: 'route', pattern: 'sent', body: { order: 7 } });
    const [{ payload, route, id, correlationId }] = await calls.until(1);
    expect({ payload, route }).toEqual({ payload: { order: 7 }, route: 'sent' });
    expect(correlationId).toMatch(/./);
    expect(id).toBe(correlationId);
  },

  'a pattern that is an object': async () => {
    await channel.assertQueue('legacy', { durable: true });
    const serializer = nestEnvelope();
    const calls = await handled({ route: 'legacy', queue: 'legacy', adopt: true, bind: false, serializer });
    await they('emit', { by: 'queue', pattern: { service: 'math', cmd: 'sum' }, body: [1, 2] });
    expect(await calls.until(1)).toMatchObject([{ payload: [1, 2], route: '{"cmd":"sum","service":"math"}' }]);
  },

  'a durable queue without arguments (both)': async () => {
    // Made by golevelup, and by Nest.
    for (const queue of ['golevelup-events', 'nest-events']) {
      const refused = application.messaging.subscribe({ route: 'taken', queue }, () => undefined);
      await expect(refused).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
      const subscription = await application.messaging.subscribe(
        { route: 'taken', queue, adopt: true },
        () => undefined,
      );
      await subscription.stop();
    }
  },

  "a publish as it is, to golevelup's `@RabbitSubscribe`": async () => {
    const before = got.all.length;
    expect(await publish('golevelup.event', { order: 7 })).toMatchObject({ outcome: 'confirmed' });
    const one = (await got.until(before + 1))[before];
    expect(one).toMatchObject({ seen: 'golevelup', payload: { order: 7 }, headers: { tenant: 'blue' } });
  },

  "a publish as it is, to Nest's `@EventPattern`": async () => {
    const before = got.all.length;
    expect(await publish('nest.event', { lost: true })).toMatchObject({ outcome: 'confirmed' });
    // What comes after it is handled, so that it was looked at.
    await publish('nest.event', { order: 7 }, nestEnvelope());
    expect((await got.until(before + 1)).slice(before)).toEqual([{ seen: 'nest', payload: { order: 7 } }]);
    await waitFor(async () => (await channel.checkQueue('nest-events')).messageCount === 0);
  },

  "a publish with `nestEnvelope()`, to Nest's `@EventPattern`": async () => {
    const before = got.all.length;
    await publish('nest.event', { order: 8 }, nestEnvelope());
    expect((await got.until(before + 1)).slice(before)).toEqual([{ seen: 'nest', payload: { order: 8 } }]);
  },

  "a request, to golevelup's `@RabbitRPC`": async () => {
    const requester = application.get(Requester);
    expect(await requester.request('golevelup.quote', { item: 'ball' })).toEqual({ price: 4 });
    const failing = requester.request('golevelup.quote', { item: 'broken' }, { timeout: 300 });
    await expect(failing).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' });
  },

  "a request with `nestEnvelope()`, to Nest's `@MessagePattern`": async () => {
    const quote = request<{ item: string }, object>('nest.quote', { serializer: nestEnvelope() });
    expect(await application.get(Requester).request(quote, { item: 'ball' })).toEqual({ price: 4 });
  },
};

const written = Markdown.read('docs/migrating.md')
  .tables()
  .flat()
  .map((row) => Object.values(row));

test('docs/migrating.md: there is a test for each row of both tables, and a row for each test', () => {
  expect(written.map(([row]) => row)).toEqual(Object.keys(rows));
});

(folder === undefined ? describe.skip : describe)('docs/migrating.md', () => {
  describeRabbit('beside golevelup and Nest’s microservices', (rabbit) => {
    beforeAll(async () => {
      url = await rabbit.freshVhostUrl();
      model = await connect(url);
      channel = await model.createChannel();
      peer = fork(resolve(__dirname, 'peer.mjs'), [folder!, url, EXCHANGE], {
        execArgv: [],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      });
      let said = '';
      peer.stderr!.on('data', (text: Buffer) => (said += text.toString()));
      const ended = once(peer, 'exit').then(() => ['ended']);
      const [first] = (await Promise.race([once(peer, 'message'), ended])) as unknown[];
      if (first !== 'ready') throw new Error(`The other side ended: ${said}`);
      peer.on('message', (message: Partial<Got>) => message.seen && got.add(message as Got));
    }, 120_000);

    afterEach(closeApplications);
    afterAll(async () => {
      peer?.kill('SIGKILL');
      await model?.close();
    });

    test.each(written)(
      '%s: %s',
      async (row) => {
        application = await boot({
          imports: [
            MessagingModule.forRoot({
              service: 'ours',
              transport: rabbitmq({ url, exchange: EXCHANGE }),
              retry: false,
            }),
          ],
        });
        await rows[row]();
      },
      60_000,
    );
  });
});
