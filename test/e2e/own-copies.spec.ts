import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DeadLetters,
  jsonSerializer,
  type Messaging,
  type MessageContext,
  MessagingModule,
  type MessagingModuleOptions,
  Publisher,
  type ReceivedMessage,
  Subscribe,
  SubscribeBatch,
  fixed,
  partitioned,
} from 'nestjs-messaging';
import { boot, closeApplications, event, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

const CLEAR = 'clear text of the order';
const HEADERS = { tenant: 'blue', list: ['a', ['b']], table: { deep: { level: 2 } }, bytes: Buffer.from('bytes') };
const retry = { attempts: 3, backoff: fixed(10) };

/** What a handler may think is its own: everything in it that can be changed is. */
function spoil(value: unknown): void {
  if (value instanceof Uint8Array) value.fill(0);
  else if (typeof value === 'object' && value !== null)
    for (const name of Object.keys(value)) {
      spoil((value as Record<string, unknown>)[name]);
      Reflect.set(value, name, 'spoilt');
    }
}

/** Of the broker's own object what holds the message; a client's connection may hang on it as well. */
function spoilRaw(raw: unknown): void {
  const { content, data, body, properties, headers } = raw as Record<string, unknown>;
  for (const part of [content, data, body, properties]) spoil(part);
  if (headers && typeof (headers as Map<string, string>).set === 'function')
    (headers as Map<string, string>).set('tenant', 'spoilt');
  else spoil(headers);
}

type Message = Pick<MessageContext, 'payload' | 'headers' | 'body' | 'raw'>;

function seenOf({ payload, headers: { tenant, list, table, bytes } }: Message): object {
  return { payload: String(payload), tenant, list, table, bytes: (bytes as Buffer).toString() };
}

const AS_SENT = { ...HEADERS, payload: CLEAR, bytes: 'bytes' };

function spoilAll({ payload, headers, body, raw }: Message): void {
  for (const part of [payload, headers, body]) spoil(part);
  spoilRaw(raw);
}

describeAllBrokers(
  'What application code does to a message that failed is not in its retry and its dead letter',
  (fresh) => {
    /** Publishes bytes and headers, and compares what calls saw and the dead letter with them. */
    async function expectAsSent(
      options: Pick<MessagingModuleOptions, 'middleware' | 'serializer'>,
      decorator: MethodDecorator,
      seen: Seen<object>,
      work: (messaging: Messaging) => void = () => undefined,
      handler: (payload: never, context: never) => unknown = (_, context: MessageContext) => {
        seen.add(seenOf(context));
        spoilAll(context);
        throw new Error('failed');
      },
    ): Promise<void> {
      @Injectable()
      class Handler {
        @decorator
        handle(payload: never, context: never): unknown {
          return handler(payload, context);
        }
      }
      const transport = await fresh();
      const { get, messaging } = await boot({
        imports: [MessagingModule.forRoot({ service: 'orders', transport: transport(), ...options })],
        providers: [Handler],
      });
      const dead = event(messaging, 'dead-lettered');
      work(messaging);
      await get(Publisher).publish('sealed', Buffer.from(CLEAR), { id: 'the-id', key: 'k', headers: HEADERS });
      await dead;
      expect(await seen.until(3)).toEqual([AS_SENT, AS_SENT, AS_SENT]);
      const letter = await get(DeadLetters).show('the-id');
      expect({ ...seenOf({ ...letter!, payload: letter!.body, raw: undefined }) }).toEqual(AS_SENT);
    }

    test('by a handler: payload, body, headers at every depth, the broker’s own object', () =>
      expectAsSent({}, Subscribe('sealed', { retry }), new Seen()));

    test('by a handler whose message is retried in place', () =>
      expectAsSent({}, Subscribe('sealed', { retry, concurrency: partitioned() }), new Seen()));

    test('by a batch handler', () => {
      const seen = new Seen<object>();
      return expectAsSent(
        {},
        SubscribeBatch('sealed', { retry, size: 1, maxWait: 10 }) as MethodDecorator,
        seen,
        undefined,
        (payloads: Buffer[], { entries }: { entries: MessageContext[] }) => {
          entries.forEach((entry) => {
            seen.add(seenOf(entry));
            spoilAll(entry);
          });
          payloads.forEach(spoil);
          throw new Error('failed');
        },
      );
    });

    test('by middleware, before the handler and after it failed', () => {
      const seen = new Seen<object>();
      return expectAsSent(
        {
          middleware: [
            async (context, next) => {
              spoil(context.body);
              spoilRaw(context.raw);
              try {
                return await next();
              } finally {
                spoilAll(context);
              }
            },
          ],
        },
        Subscribe('sealed', { retry }),
        seen,
        undefined,
        (payload: Buffer, { headers }: MessageContext) => {
          seen.add(seenOf({ payload, headers, body: payload, raw: undefined }));
          throw new Error('failed');
        },
      );
    });

    test('by a serializer that returns a part of what it was given, and by a function that tells the key', () =>
      expectAsSent(
        {
          serializer: {
            serialize: (body) => jsonSerializer.serialize(body),
            deserialize: (body, properties) => {
              spoil(properties);
              return body.subarray(0, body.length);
            },
          },
        },
        Subscribe('sealed', {
          retry,
          concurrency: partitioned({
            key: (message) => {
              const { body, headers, properties } = message;
              [body, headers, properties].forEach(spoil);
              return 'k';
            },
          }),
        }),
        new Seen(),
      ));

    test('by listeners of events', () =>
      expectAsSent({}, Subscribe('sealed', { retry }), new Seen(), ({ events }) => {
        for (const name of ['delivered', 'settled'] as const)
          events.on(name, ({ delivery: { message, raw } }) => {
            const { body, headers, properties } = message;
            [body, headers, properties].forEach(spoil);
            spoilRaw(raw);
          });
      }));

    test('by a loop that receives', async () => {
      const transport = await fresh();
      const { get, messaging } = await boot({
        imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      });
      const seen = new Seen<object>();
      const receiver = messaging.receive({ route: 'sealed', retry });
      const dead = event(messaging, 'dead-lettered');
      const loop = (async (): Promise<void> => {
        for await (const message of receiver as AsyncIterable<ReceivedMessage>) {
          seen.add(seenOf(message));
          spoilAll(message);
          void message.nack(new Error('failed'));
        }
      })();
      await get(Publisher).publish('sealed', Buffer.from(CLEAR), {
        id: 'the-id',
        headers: HEADERS,
        unroutable: 'queue',
      });
      await dead;
      expect(seen.all).toEqual([AS_SENT, AS_SENT, AS_SENT]);
      await receiver.return();
      await loop;
    });
  },
);

describeAllBrokers('What a caller does after publish() has returned is not in the message', (fresh) => {
  test('bytes and headers at every depth, whatever the message waits for', async () => {
    const seen = new Seen<[string, object]>();
    @Injectable()
    class Handler {
      @Subscribe('sealed')
      handle(_: unknown, context: MessageContext): void {
        seen.add([context.id, seenOf(context)]);
      }
    }
    const transport = await fresh();
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const publisher = get(Publisher);
    const given = (): { body: Buffer; headers: typeof HEADERS } => ({
      body: Buffer.from(CLEAR),
      headers: { ...structuredClone({ ...HEADERS, bytes: undefined }), bytes: Buffer.from('bytes') },
    });
    const sent = [
      { id: 'plain' },
      { id: 'delayed', delay: 20 },
      { id: 'ordered', key: 'k', ordered: true },
      { id: 'behind it', key: 'k', ordered: true },
    ];
    const receipts: Promise<unknown>[] = [];
    for (const options of sent) {
      const { body, headers } = given();
      receipts.push(publisher.publish('sealed', body, { ...options, headers }));
      [body, headers].forEach(spoil);
    }
    const { body, headers } = given();
    expect(publisher.emit('sealed', body, { id: 'emitted', headers })).toBe(true);
    [body, headers].forEach(spoil);
    const toQueue = given();
    receipts.push(
      publisher.sendToQueue('orders:sealed:queue', toQueue.body, { id: 'to the queue', headers: toQueue.headers }),
    );
    [toQueue.body, toQueue.headers].forEach(spoil);
    await Promise.all(receipts);
    for (const [, one] of await seen.until(6)) expect(one).toEqual(AS_SENT);
  });
});
