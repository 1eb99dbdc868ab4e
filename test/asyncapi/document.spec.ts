import { afterEach, describe, expect, test } from '@jest/globals';
import { Controller, Injectable, Module, Scope } from '@nestjs/common';
import { bounded, message, MessagingModule, partitioned, Subscribe, SubscribeBatch } from 'nestjs-messaging';
import { type AsyncApiOptions, asyncApi, Publishes } from 'nestjs-messaging/asyncapi';
import { unconnectedApplication } from 'nestjs-messaging/asyncapi';
import { kafka } from 'nestjs-messaging/kafka';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import * as v from 'valibot';
import { z } from 'zod';
import { toYaml } from '../../lib/asyncapi/yaml.js';
import { documentOf } from './document-of.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const order = z.object({ item: z.string(), amount: z.number().default(1) }).meta({ title: 'An order' });
const orderCreated = message('order.created', order);

@Injectable()
class Orders {
  @Subscribe(orderCreated, { name: 'billing', summary: 'Bills', description: 'Writes', tags: ['money'], deprecated: true })
  bill(): void {}

  @Subscribe('user.*.signed.#', { name: 'users' })
  user(): void {}
} // prettier-ignore

describe('the document of an application', () => {
  test('has the queue, its route, its dead letters and what a handler can rely on', async () => {
    const { channels, operations, components } = await documentOf([Orders]);
    expect(Object.keys(channels)).toEqual([
      'order.created',
      'shop:billing:dlq',
      'shop:billing:queue',
      'shop:users:dlq',
      'shop:users:queue',
      'user.{word1}.signed.{words2}',
    ]);
    expect(operations['Orders.bill']).toMatchObject({
      action: 'receive',
      channel: { $ref: '#/channels/shop:billing:queue' },
      messages: [{ $ref: '#/channels/shop:billing:queue/messages/order.created' }],
      summary: 'Bills',
      description: 'Writes',
      tags: [{ name: 'money' }],
      'x-deprecated': true,
      'x-nestjs-messaging': {
        delivery: 'at-least-once',
        order: 'none',
        prefetch: 10,
        retry: { attempts: 8, backoff: { kind: 'exponential', initial: 1_000 } },
        deadLetter: { queue: 'shop:billing:dlq' },
        idempotent: false,
      },
    });
    expect(components.messages['order.created']).toMatchObject({
      name: 'order.created',
      title: 'An order',
      contentType: 'application/json',
      payload: { $ref: '#/components/schemas/order.created' },
    });
  });

  test('what travels is the input of a schema: what has a default may be missing', async () => {
    const { components } = await documentOf([Orders]);
    expect(components.schemas['order.created']).toMatchObject({ required: ['item'] });
  });

  test('a pattern is an address with parameters', async () => {
    const { channels } = await documentOf([Orders]);
    expect(channels['user.{word1}.signed.{words2}']).toMatchObject({
      address: 'user.{word1}.signed.{words2}',
      parameters: { word1: { 'x-pattern': '*' }, words2: { 'x-pattern': '#' } },
    });
  });

  test('does not depend on the order of providers and contracts', async () => {
    @Publishes(message('b', z.string()), message('a', z.string()))
    @Injectable()
    class Sender {}
    const [one, other] = [await documentOf([Orders, Sender]), await documentOf([Sender, Orders])];
    expect(JSON.stringify(one)).toBe(JSON.stringify(other));
  });

  test('what is published is told by @Publishes and by the option, once', async () => {
    @Publishes(orderCreated, { route: 'order.lost', summary: 'Rarely' })
    @Injectable()
    class Sender {}
    const { operations } = await documentOf([Sender], { publishes: [orderCreated] });
    expect(Object.keys(operations)).toEqual(['send.order.created', 'send.order.lost']);
    expect(operations['send.order.lost']).toMatchObject({
      action: 'send',
      summary: 'Rarely',
      'x-nestjs-messaging': { confirmed: true, unroutable: 'reject' },
    });
  });

  test('different schemas of one route are different messages', async () => {
    const { components, operations } = await documentOf([Orders], {
      publishes: [message('order.created', z.object({ other: z.string() }))],
    });
    expect(Object.keys(components.messages)).toEqual(['order.created', 'order.created-2', 'user.word.signed.words']);
    expect(operations['send.order.created'].messages).toEqual([
      { $ref: '#/channels/order.created/messages/order.created-2' },
    ]);
  });

  test('the queue of each process has a parameter, and no name of the machine', async () => {
    class Caches {
      @Subscribe('cache.cleared', { exclusive: true })
      clear(): void {}
    }
    const document = await documentOf([Caches]);
    expect(document.channels['shop:cache.cleared:{instance}:queue']).toMatchObject({ parameters: { instance: {} } });
    expect(JSON.stringify(document)).toBe(JSON.stringify(await documentOf([Caches])));
  });

  test('order, batches and bounds are told', async () => {
    class Many {
      @Subscribe('a', { concurrency: partitioned() })
      a(): void {}
      @Subscribe('b', { concurrency: bounded(2), retry: false, timeout: 5, idempotent: true, dlq: false })
      b(): void {}
      @SubscribeBatch('c', { size: 5 })
      c(): void {}
    }
    const { operations } = await documentOf([Many]);
    const semantics = (name: string): unknown => operations[`Many.${name}`]['x-nestjs-messaging'];
    expect(semantics('a')).toMatchObject({ order: 'key-in-process', concurrency: 'partitioned' });
    expect(semantics('b')).toMatchObject({
      concurrency: 2,
      retry: { attempts: 1 },
      timeoutMs: 5,
      deadLetter: false,
      idempotent: { windowMs: 86_400_000 },
    });
    expect(semantics('c')).toMatchObject({ batch: { size: 5, maxWaitMs: 1_000 } });
  });

  test('a method that subscribes twice, and a provider of each request, are there', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Twice {
      @Subscribe('a')
      @Subscribe('b')
      handle(): void {}
    }
    const { operations } = await documentOf([Twice]);
    expect(Object.keys(operations)).toEqual(['Twice.handle.a', 'Twice.handle.b']);
  });

  test('controllers are looked at as well, and other connections have names of their own', async () => {
    @Controller()
    class Audit {
      @Subscribe('order.created', { connection: 'audit' })
      audit(): void {}
    }
    @Module({
      imports: [MessagingModule.forRoot({ service: 'shop' }), MessagingModule.forRoot({ service: 'shop', connection: 'audit' })],
      providers: [Orders],
      controllers: [Audit],
    })
    class AppModule {} // prettier-ignore
    const app = await unconnectedApplication(AppModule);
    closing.push(() => app.close());
    const { channels, servers, operations } = asyncApi(app) as any;
    expect(Object.keys(servers)).toEqual(['audit', 'default']);
    expect(channels['shop:order.created:queue@audit'].servers).toEqual([{ $ref: '#/servers/audit' }]);
    const only = asyncApi(app, { include: { connections: ['audit'], actions: ['receive'] } });
    expect(Object.keys(only.operations)).toEqual(['Audit.audit']);
    expect(Object.keys(operations)).toContain('Orders.bill');
    expect(() => asyncApi(app, { include: { connections: ['other'] } })).toThrow('one of: ');
    expect(Object.keys(asyncApi(app, { include: { routes: ['user.#'] } }).operations)).toEqual(['Orders.user']);
  });

  test('without a MessagingModule there is nothing to be told', async () => {
    @Module({})
    class Empty {}
    const app = await unconnectedApplication(Empty);
    closing.push(() => app.close());
    expect(() => asyncApi(app)).toThrow('There is no MessagingModule in this application');
  });

  test('200 routes are 200 operations', async () => {
    const publishes = Array.from({ length: 200 }, (_, at) => message(`route.${at}`, order));
    @Module({ imports: [MessagingModule.forRoot({ service: 'shop' })], providers: [Orders] })
    class AppModule {}
    const app = await unconnectedApplication(AppModule);
    closing.push(() => app.close());
    expect(Object.keys(asyncApi(app, { publishes }).operations)).toHaveLength(202);
  });
});

describe('the brokers, in the terms of their protocols, with none of them there', () => {
  test('RabbitMQ', async () => {
    const transport = rabbitmq({ url: 'amqps://me:secret@rabbit.example/orders', exchange: 'shop' });
    const document = await documentOf([Orders], { publishes: [orderCreated] }, transport);
    const { servers, channels, operations } = document;
    expect(servers.default).toMatchObject({ host: 'rabbit.example:5671', pathname: '/orders', protocol: 'amqps' });
    expect(channels['shop:billing:queue'].bindings.amqp).toMatchObject({ is: 'queue', queue: { vhost: 'orders' } });
    expect(channels['order.created'].bindings.amqp).toMatchObject({ is: 'routingKey', exchange: { name: 'shop' } });
    expect(channels['shop:billing:queue']['x-nestjs-messaging-queue'].arguments['x-queue-type']).toBe('quorum');
    expect(operations['send.order.created'].bindings.amqp).toMatchObject({ deliveryMode: 2, mandatory: true });
    expect(JSON.stringify(document)).not.toMatch(/secret|me:/);
  });

  test('NATS', async () => {
    const document = await documentOf([Orders], {}, nats({ servers: 'nats://me:secret@nats.example:4333' }));
    const { servers, channels, operations, components } = document;
    expect(servers.default).toMatchObject({ host: 'nats.example:4333', protocol: 'nats' });
    expect(operations['Orders.bill'].bindings.nats).toEqual({ queue: 'shop:billing:queue', bindingVersion: '0.1.0' });
    expect(channels['shop:billing:queue']['x-nestjs-messaging-queue']).toMatchObject({
      stream: 'events',
      subjects: ['events.order.created', '_events.shop:billing:queue.queue'],
    });
    expect(components.messages['order.created'].correlationId.location).toBe('$message.header#/Correlation-Id');
  });

  test('Kafka', async () => {
    const document = await documentOf([Orders], {}, kafka({ brokers: 'kafkas://me:secret@kafka.example:9093' }));
    const { servers, channels, operations } = document;
    expect(servers.default).toMatchObject({ host: 'kafka.example:9093', protocol: 'kafka-secure' });
    expect(channels['order.created'].bindings.kafka).toMatchObject({ topic: 'events', partitions: 6, replicas: 1 });
    expect(operations['Orders.bill'].bindings.kafka.groupId.enum).toEqual(['events.queue.shop_3Abilling_3Aqueue']);
  });

  test('`servers` is what readers are told instead', async () => {
    const { servers } = await documentOf([], { servers: { default: { host: 'broker.example', tags: ['live'] } } });
    expect(servers.default).toMatchObject({ host: 'broker.example', protocol: 'memory', tags: [{ name: 'live' }] });
  });
});

describe('what has no schema, or none that can be told', () => {
  class Payload {}
  class Plain {
    @Subscribe('plain')
    handle(_: Payload): void {}
  }

  test('a handler without one is listed; `strict` refuses it by its name', async () => {
    const document = await documentOf([Plain], { publishes: ['sent'] });
    expect(document['x-nestjs-messaging-undocumented']).toEqual(['Plain.handle: plain', 'published: sent']);
    expect(document.components.messages.plain.payload).toEqual({});
    await expect(documentOf([Plain], { strict: true })).rejects.toThrow(
      'Option «strict» is true; allowed: handlers and publications with a schema each; without one are: Plain.handle: plain',
    );
    await expect(documentOf([], { strict: true })).resolves.toBeDefined();
  });

  test('`schemaOf` is asked for the class that a handler takes', async () => {
    const schemaOf = (type: unknown): object | undefined => (type === Payload ? { type: 'object' } : undefined);
    const { components } = await documentOf([Plain], { schemaOf, strict: true });
    expect(components.schemas.plain).toEqual({ type: 'object' });
    await expect(documentOf([Plain], { schemaOf: (() => 'text') as never })).rejects.toThrow('for Payload');
  });

  const dated = message('dated', z.object({ lines: z.array(z.object({ at: z.date() })) }));

  test('a date is refused with its route and place, or is anything by option', async () => {
    await expect(documentOf([], { publishes: [dated] })).rejects.toThrow(
      /^The schema of «dated» is no JSON Schema at «\/lines\/items\/at»: Date .* Option «onUnrepresentable» is "fail"; allowed: 'any', or a schema of what travels as JSON/,
    );
    const { components } = await documentOf([], { publishes: [dated], onUnrepresentable: 'any' });
    expect(components.schemas.dated.properties.lines.items.properties.at).toEqual({});
  });

  test('a schema that cannot become JSON Schema says what can, or is not there by option', async () => {
    const publishes = [message('plain', v.object({ id: v.string() }))];
    await expect(documentOf([], { publishes })).rejects.toThrow(
      'toStandardJsonSchema(schema) of @valibot/to-json-schema',
    );
    const document = await documentOf([], { publishes, onUnrepresentable: 'any' });
    expect(document['x-nestjs-messaging-undocumented']).toEqual(['published: plain']);
  });

  test('what a schema refers to in itself is found in the document', async () => {
    const tree: z.ZodType = z.object({ name: z.string(), $ref: z.literal('#'), get children() { return z.array(tree); } }); // prettier-ignore
    const { components } = await documentOf([], { publishes: [message('tree', tree)] });
    const { properties } = components.schemas.tree;
    expect(properties.children.items.$ref).toMatch(/^#\/components\/schemas\/tree/);
    expect(properties.$ref).toEqual({ type: 'string', const: '#' });
  });

  test.each<[AsyncApiOptions, string]>([
    [{ infos: {} } as never, 'asyncApi.infos'],
    [{ info: { version: 1 } } as never, 'info.version'],
    [{ servers: { default: { host: 'me:hunter2@host' } } }, 'servers.default.host'],
    [{ include: { actions: ['publish'] } } as never, 'include.actions'],
    [{ include: { routes: ['a..b'] } }, 'include.routes'],
    [{ publishes: orderCreated } as never, 'publishes'],
    [{ publishes: [{ route: 'a', conection: 'b' }] } as never, 'publishes.conection'],
    [{ schemaOf: {} } as never, 'schemaOf'],
    [{ onUnrepresentable: 'ignore' } as never, 'onUnrepresentable'],
    [{ strict: 'yes' } as never, 'strict'],
    [{ tags: 'one' } as never, 'tags'],
  ])('the options %j are refused', async (options, named) => {
    const refused = documentOf([], options);
    await expect(refused).rejects.toThrow(`Option «${named}»`);
    await expect(refused).rejects.not.toThrow('hunter2');
  });
});

test('as YAML it is blocks, with JSON where a value is', () => {
  expect(toYaml({ a: { 'b:c': [1, { d: 'x' }, []], yes: {} }, $ref: '#/a' })).toBe(
    'a:\n  "b:c":\n    - 1\n    -\n      d: "x"\n    - []\n  "yes": {}\n$ref: "#/a"\n',
  );
});
