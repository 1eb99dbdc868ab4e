import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CreateTopicCommand, DeleteTopicCommand, ListSubscriptionsByTopicCommand, PublishCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'; // prettier-ignore
import { CreateQueueCommand, DeleteQueueCommand, GetQueueAttributesCommand, GetQueueUrlCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'; // prettier-ignore
import { systemClock } from '../../lib/clock/clock.js';
import type { Delivery } from '../../lib/transport/delivery.js';
import type { Destination, Outgoing, PublishResult } from '../../lib/transport/outgoing.js';
import type { Topology } from '../../lib/transport/topology.js';
import type { Transport } from '../../lib/transport/transport.js';
import { type SqsOptions } from '../../lib/transports/sqs/options.js';
import { filterOf } from '../../lib/transports/sqs/sns.js';
import { sqs } from '../../lib/transports/sqs/sqs.js';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';

const region = 'us-east-1';
const credentials = { accessKeyId: 'test', secretAccessKey: 'planted-secret' };
let applications = 0;

describe('A filter of SNS', () => {
  it.each([
    [['a.b', 'c'], { route: ['a.b', 'c'] }],
    [['a.#'], { route: ['a', { prefix: 'a.' }] }],
    [['#'], { route: [{ exists: true }] }],
    [['a.*'], { route: [{ prefix: 'a.' }], route_words: [{ numeric: ['=', 2] }] }],
    [['a.*.#'], { route: [{ prefix: 'a.' }], route_words: [{ numeric: ['>=', 2] }] }],
    [['x', '*'], { $or: [{ route: ['x'] }, { route: [{ exists: true }], route_words: [{ numeric: ['=', 1] }] }] }],
  ])('says %j', (patterns, filter) => expect(filterOf(patterns, 'q')).toEqual(filter));

  it.each(['*.a', 'a.#.b', 'a.#.*'])('is refused for %s, with the remedy', (pattern) => {
    expect(() => filterOf([pattern], 'q')).toThrow(/words follow a wildcard.*leave `topics: 'sns'` out/);
  });
});

describe('Attributes of their own', () => {
  const given = (attributes: unknown) => () => sqs({ region, attributes: attributes as string[] });
  it.each([
    [['a', 'b', 'c', 'd', 'e', 'f', 'g'], /7 names.*SNS drops a message with more than ten attributes/],
    [['aws.x'], /sqs.attributes\[0\]/],
    [['a', 'route'], /sqs.attributes\[1\]/],
    [['a', 'a'], /sqs.attributes\[1\]/],
    ['tenant', /up to 6 names/],
  ])('%j are refused at once', (attributes, text) => expect(given(attributes)).toThrow(text));
  it.each([[[]], [['tenant', 'x-y.z']]])('%j are taken', (attributes) => expect(given(attributes)).not.toThrow());
});

describeSqs('SNS', (broker) => {
  const open: Transport[] = [];
  let sns: SNSClient;
  let plain: SQSClient;
  let endpoint: string;

  beforeAll(async () => {
    endpoint = await broker.url();
    sns = new SNSClient({ region, endpoint, credentials });
    plain = new SQSClient({ region, endpoint, credentials, useQueueUrlAsEndpoint: false });
  });
  afterEach(() => Promise.all(open.splice(0).map((transport) => transport.close())));
  afterAll(() => (sns?.destroy(), plain?.destroy()));

  const newPrefix = (): string => `sns-${++applications}-`;
  const settings = (prefix: string): SqsOptions => ({ region, endpoint, prefix, topics: 'sns', waitTime: 0, routesRefresh: 0, options: { credentials } }); // prettier-ignore
  async function connected(options: SqsOptions, provision = true): Promise<Transport> {
    const transport = sqs(options).create();
    open.push(transport);
    await transport.connect({
      clock: systemClock,
      service: 'test',
      random: Math.random,
      reconnect: { initial: 20, max: 100, jitter: 0 },
      confirmTimeout: 5_000,
      provision,
      onEvent: () => {},
    });
    return transport;
  }
  let made = 0;
  const outgoing = (route: string, body = route, more: Partial<Outgoing> & { headers?: object } = {}): Outgoing => ({
    to: { kind: 'route', route },
    dedupeId: `dedupe-${++made}`,
    mandatory: true,
    ...more,
    message: {
      id: `id-${made}`,
      route,
      body: Buffer.from(body),
      headers: (more.headers ?? {}) as never,
      properties: {},
    },
  });
  async function publish(transport: Transport, ...batch: Outgoing[]): Promise<PublishResult[]> {
    const results = new Map<Outgoing, PublishResult>();
    await new Promise<void>((resolve) =>
      transport.publish(batch, (one, result) => void (results.set(one, result).size === batch.length && resolve())),
    );
    return batch.map((one) => results.get(one)!);
  }
  const statuses = (results: PublishResult[]): string[] => results.map(({ status }) => status);
  async function consume(transport: Transport, topology: Topology): Promise<Delivery[]> {
    const deliveries: Delivery[] = [];
    await transport.declare(topology);
    const delivery = (one: Delivery): void => (deliveries.push(one), one.ack());
    await transport.subscribe({ topology, prefetch: 10 }, { delivery, lost() {}, state() {} });
    return deliveries;
  }
  const bodies = (deliveries: Delivery[]): string[] => deliveries.map(({ message }) => message.body.toString()).sort();
  const queue = (name: string, ...patterns: string[]): Topology => ({ queue: name, patterns, provision: true });

  it('brings each queue what its patterns take, once, as it was published, by one request for all', async () => {
    const transport = await connected(settings(newPrefix()));
    const exact = await consume(transport, queue('exact', 'order.created'));
    const one = await consume(transport, queue('one', 'order.*', 'exactly'));
    const all = await consume(transport, queue('all', '#'));
    const tail = await consume(transport, queue('tail', 'order.#'));
    const routes = ['order.created', 'order.created.eu', 'order', 'orders.created', 'exactly'];
    const bytes = outgoing('order.created', '', { headers: { count: 3, who: 'me' } });
    (bytes.message as { body: Buffer }).body = Buffer.from([0, 255, 1]);
    expect(statuses(await publish(transport, ...routes.map((route) => outgoing(route)), bytes))).toEqual(Array(6).fill('confirmed')); // prettier-ignore
    await waitFor(() => all.length === 6 && tail.length === 4 && exact.length === 2 && one.length === 3, 'all of them');
    const binary = bytes.message.body.toString();
    expect([bodies(exact), bodies(one)]).toEqual([[binary, 'order.created'].sort(), [binary, 'exactly', 'order.created'].sort()]); // prettier-ignore
    expect(bodies(tail)).toEqual([binary, ...routes.slice(0, 3)].sort());
    const copy = exact.find(({ message }) => message.id === bytes.message.id)!;
    expect(copy).toMatchObject({ direct: false, topic: 'events', message: { ...bytes.message } });
  });

  it('tells what nobody takes, and takes it where somebody who is none of ours is subscribed', async () => {
    const prefix = newPrefix();
    const transport = await connected(settings(prefix));
    await transport.declare(queue('q', 'a'));
    expect(statuses(await publish(transport, outgoing('a'), outgoing('nobody')))).toEqual(['confirmed', 'unroutable']);
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: `${prefix}events` }));
    const { QueueUrl } = await plain.send(new CreateQueueCommand({ QueueName: `stranger-${prefix}` }));
    const { Attributes } = await plain.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes!.QueueArn }));
    expect(statuses(await publish(transport, outgoing('nobody')))).toEqual(['confirmed']);
    const { Messages } = await plain.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
    expect(JSON.parse(Messages![0].Body!)).toMatchObject({ Message: 'nobody', MessageAttributes: { route: { Value: 'nobody' } } }); // prettier-ignore
  });

  it('takes messages out of their envelopes, with their attributes, where a queue is subscribed without raw delivery', async () => {
    const prefix = newPrefix();
    const transport = await connected({ ...settings(prefix), topics: 'tags' });
    const found = await consume(transport, queue('q'));
    const { QueueUrl } = await plain.send(new GetQueueUrlCommand({ QueueName: `${prefix}q` }));
    const { Attributes } = await plain.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: `${prefix}theirs` }));
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes!.QueueArn }));
    const text = (StringValue: string, DataType = 'String') => ({ DataType, StringValue });
    const theirs = {
      route: text('order.paid'),
      partition_key: text('k'),
      amount: text('7', 'Number'),
      raw: { DataType: 'Binary', BinaryValue: Buffer.from([1, 2]) },
    };
    await sns.send(new PublishCommand({ TopicArn, Message: '{"a":1}', MessageAttributes: theirs }));
    const envelope = JSON.stringify({ Type: 'Notification', TopicArn: 'only a body' });
    await publish(transport, outgoing('x', envelope, { to: { kind: 'queue', queue: 'q' } }));
    await waitFor(() => found.length === 2, 'both');
    const message = found.find(({ message: { id } }) => id === '')!.message;
    expect(message).toMatchObject({ route: 'order.paid', body: Buffer.from('{"a":1}'), headers: { 'messaging-key': 'k', amount: 7, raw: Buffer.from([1, 2]) } }); // prettier-ignore
    expect(bodies(found)).toContain(envelope);
  });

  it('sends headers as attributes of their own where it is asked to, which others can filter by', async () => {
    const prefix = newPrefix();
    const transport = await connected({ ...settings(prefix), attributes: ['tenant', 'amount'] });
    await transport.declare(queue('q', 'a'));
    await publish(transport, outgoing('a', 'a', { headers: { tenant: 'x', amount: 5, other: 'y' } }));
    const { QueueUrl } = await plain.send(new GetQueueUrlCommand({ QueueName: `${prefix}q` }));
    const { Messages } = await plain.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5, MessageAttributeNames: ['All'] })); // prettier-ignore
    expect(Messages![0].MessageAttributes).toMatchObject({ tenant: { StringValue: 'x' }, amount: { DataType: 'Number', StringValue: '5' } }); // prettier-ignore
    expect(Object.keys(Messages![0].MessageAttributes!).sort()).toEqual(['amount', 'messaging', 'route', 'route_words', 'tenant']); // prettier-ignore
  });

  it('follows the patterns of a queue: new ones come, former ones go when nothing consumes it', async () => {
    const options = settings(newPrefix());
    const first = await connected(options);
    await first.declare(queue('q', 'a', 'b'));
    await first.close();
    const second = await connected(options);
    const found = await consume(second, queue('q', 'b', 'c'));
    expect(statuses(await publish(second, outgoing('a'), outgoing('b'), outgoing('c')))).toEqual(['unroutable', 'confirmed', 'confirmed']); // prettier-ignore
    await waitFor(() => found.length === 2, 'the two');
    expect(bodies(found)).toEqual(['b', 'c']);
  });

  it('subscribes queues again where somebody has deleted the topic: what is published then arrives', async () => {
    const prefix = newPrefix();
    const transport = await connected(settings(prefix));
    const found = await consume(transport, queue('q', 'a'));
    await publish(transport, outgoing('a', 'before'));
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: `${prefix}events` }));
    await sns.send(new DeleteTopicCommand({ TopicArn }));
    expect(statuses(await publish(transport, outgoing('a', 'gone')))).toEqual(['failed']);
    expect(statuses(await publish(transport, outgoing('a', 'after')))).toEqual(['confirmed']);
    await waitFor(() => found.length === 2, 'what came after');
    expect(bodies(found)).toEqual(['after', 'before']);
  });

  it('sends queues that are not subscribed their copies by itself', async () => {
    const options = settings(newPrefix());
    const tags = await connected({ ...options, topics: 'tags' });
    const direct = await consume(tags, queue('direct', 'a'));
    const transport = await connected(options);
    const subscribed = await consume(transport, queue('subscribed', 'a'));
    expect(statuses(await publish(transport, outgoing('a', 'by sns')))).toEqual(['confirmed']);
    expect(statuses(await publish(tags, outgoing('a', 'by tags')))).toEqual(['confirmed']);
    await waitFor(() => direct.length === 2 && subscribed.length === 2, 'two each');
    expect([bodies(direct), bodies(subscribed)]).toEqual([['by sns', 'by tags'], ['by sns', 'by tags']]); // prettier-ignore
  });

  it('brings a new route of a subscribed queue whose consumer is on tags now', async () => {
    const options = settings(newPrefix());
    const publisher = await connected(options);
    await publisher.declare(queue('q', 'a'));
    const tags = await connected({ ...options, topics: 'tags' });
    const found = await consume(tags, queue('q', 'a', 'b'));
    expect(statuses(await publish(publisher, outgoing('b')))).toEqual(['confirmed']);
    await waitFor(() => found.length === 1, 'the new route');
  });

  it('fails only what goes to a topic that cannot be looked at', async () => {
    const transport = await connected(settings(newPrefix()));
    await transport.declare(queue('q', 'a'));
    const to: Destination = { kind: 'route', route: 'a', topic: 'arn:aws:sns:us-east-1:000000000000:absent' };
    const results = await publish(transport, outgoing('a'), outgoing('a', 'lost', { to }), outgoing('a'));
    expect(statuses(results)).toEqual(['confirmed', 'failed', 'confirmed']);
  });

  it('leaves no subscription of a queue that it deletes, and takes one whose queue is gone for nobody', async () => {
    const prefix = newPrefix();
    const transport = await connected(settings(prefix));
    await transport.declare({ ...queue('own', 'a'), exclusive: { expiresMs: 60_000 } });
    await transport.declare(queue('q', 'b'));
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: `${prefix}events` }));
    const endpoints = async (): Promise<unknown[]> =>
      (await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }))).Subscriptions!.map(({ Endpoint }) => Endpoint!.split(':').at(-1)); // prettier-ignore
    expect((await endpoints()).sort()).toEqual([`${prefix}own`, `${prefix}q`]);
    await transport.close();
    expect(await endpoints()).toEqual([`${prefix}q`]);
    const { QueueUrl } = await plain.send(new GetQueueUrlCommand({ QueueName: `${prefix}q` }));
    await plain.send(new DeleteQueueCommand({ QueueUrl }));
    const next = await connected(settings(prefix));
    expect(await endpoints()).toEqual([`${prefix}q`]);
    expect(statuses(await publish(next, outgoing('b')))).toEqual(['unroutable']);
  });

  it('keeps the order of a key, and stores once what is published twice, through FIFO topics and queues', async () => {
    const transport = await connected({ ...settings(newPrefix()), fifo: true });
    const found = await consume(transport, queue('q', 'a'));
    const numbered = Array.from({ length: 12 }, (_, at) =>
      outgoing('a', String(at).padStart(2, '0'), { headers: { 'messaging-key': 'k' } }),
    );
    await publish(transport, ...numbered, { ...numbered[0] });
    await waitFor(() => found.length >= 12, 'all');
    expect(found.map(({ message }) => message.body.toString())).toEqual(bodies(found));
    expect(new Set(bodies(found)).size).toBe(12);
  });

  it('refuses before anything is sent what SNS does not take: size, a route that is no attribute, a delay', async () => {
    const options = settings(newPrefix());
    const transport = await connected({ ...options, maxBytes: 2 ** 20 });
    await transport.declare(queue('q', '#'));
    const results = await publish(
      transport,
      outgoing('a', 'x'.repeat(262_144)),
      outgoing('\u0001'),
      outgoing('a', 'late', { dueAt: Date.now() + 10_000 }),
      outgoing('a', 'x'.repeat(250_000)),
    );
    expect(statuses(results)).toEqual(['refused', 'refused', 'refused', 'confirmed']);
    const texts = results.map((result) => ('error' in result ? result.error.message : ''));
    expect(texts[0]).toMatch(/more than 262144 bytes.*topic of SNS/);
    expect(texts[1]).toMatch(/only routes of 1 to 1,024 characters/);
    expect(texts[2]).toMatch(/a topic of SNS/);
  });

  it('names what is missing where nothing may be made: the topic, the subscription and its filter', async () => {
    const options = settings(newPrefix());
    const tags = await connected({ ...options, topics: 'tags' });
    await tags.declare(queue('q', 'a'));
    const transport = await connected(options, false);
    await expect(transport.declare(queue('q', 'a'))).rejects.toThrow(/topic «events» \(sns-\d+-events\) does not exist on SNS/); // prettier-ignore
    await sns.send(new CreateTopicCommand({ Name: `${options.prefix}events` }));
    await expect(transport.declare(queue('q', 'a'))).rejects.toThrow(/not subscribed to the topic «events».*RawMessageDelivery and the FilterPolicy \{"route":\["a"\]\}/); // prettier-ignore
    const maker = await connected(options);
    await maker.declare(queue('q', 'a'));
    await transport.declare(queue('q', 'a'));
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: `${options.prefix}events` }));
    const { Subscriptions } = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }));
    expect(Subscriptions).toHaveLength(1);
  });

  it('cannot be consumed from: the error says what to do instead', async () => {
    const transport = await connected(settings(newPrefix()));
    const to: Destination = { kind: 'queue', queue: 'arn:aws:sns:us-east-1:000000000000:orders' };
    await expect(transport.declare(queue(to.queue, 'a'))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/Nobody can consume from a topic of SNS.*set `topics: "sns"`.*ARN as `topic`/),
    });
  });

  it('publishes to a topic that is given by its ARN', async () => {
    const prefix = newPrefix();
    const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: `theirs-${prefix}` }));
    const transport = await connected({ ...settings(prefix), topic: TopicArn });
    const found = await consume(transport, queue('q', 'a'));
    expect(statuses(await publish(transport, outgoing('a')))).toEqual(['confirmed']);
    await waitFor(() => found.length === 1, 'the message');
    expect(found[0].topic).toBe(TopicArn);
  });
});
