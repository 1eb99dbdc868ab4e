import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  ListQueueTagsCommand,
  SetQueueAttributesCommand,
  SQSClient,
  TagQueueCommand,
} from '@aws-sdk/client-sqs';
import { ListSubscriptionsCommand, ListTopicsCommand, SNSClient, UnsubscribeCommand } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { SubscribeRequest, TransportFactory } from 'nestjs-messaging';
import { sqs } from 'nestjs-messaging/sqs';
import { applyTopology, migrateQueue, planTopology, type SavedTopologyPlan } from 'nestjs-messaging/topology';
import { describeSqs } from '../brokers/sqs.js';
import { withApp } from './support/application.js';

const SUBSCRIPTIONS: readonly SubscribeRequest[] = [
  { route: 'order.created' },
  { route: 'invoice', dlq: false, retry: false },
];
const [QUEUE, DLQ] = ['shop:order.created:queue', 'shop:order.created:dlq'];
const ADDED = [`add queue ${DLQ}`, `add queue ${QUEUE}`, 'add queue shop:invoice:queue'];
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

describeSqs('a plan of SQS', (server) => {
  let endpoint: string;
  let client: SQSClient;
  let sns: SNSClient;
  beforeAll(async () => {
    endpoint = await server.url();
    const given = { region: 'us-east-1', endpoint, credentials };
    client = new SQSClient({ ...given, useQueueUrlAsEndpoint: false });
    sns = new SNSClient(given);
  });
  afterAll(() => {
    for (const one of [client, sns]) one?.destroy();
  });

  const on = (prefix: string, topics: 'tags' | 'sns'): TransportFactory =>
    sqs({ region: 'us-east-1', endpoint, prefix, topics, options: { credentials } });
  const nameOf = (prefix: string, queue: string): string =>
    `${prefix}${queue.replaceAll(':', '_3A').replaceAll('.', '_2E')}`;
  const urlOf = async (prefix: string, queue: string): Promise<string> =>
    (await client.send(new GetQueueUrlCommand({ QueueName: nameOf(prefix, queue) }))).QueueUrl!;
  const subscriptions = async (prefix: string) =>
    ((await sns.send(new ListSubscriptionsCommand({}))).Subscriptions ?? []).filter(({ Endpoint }) =>
      Endpoint!.includes(prefix),
    );

  /** All that is there, in a plain client's words. */
  async function listing(prefix: string) {
    const { QueueUrls = [] } = await client.send(new ListQueuesCommand({ QueueNamePrefix: prefix }));
    const queues = await Promise.all(
      QueueUrls.sort().map(async (QueueUrl) => {
        const AttributeNames = ['RedrivePolicy', 'VisibilityTimeout', 'MessageRetentionPeriod', 'Policy'] as const;
        const looking = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...AttributeNames] });
        const { Attributes } = await client.send(looking);
        return { QueueUrl, Attributes, Tags: (await client.send(new ListQueueTagsCommand({ QueueUrl }))).Tags };
      }),
    );
    const { Topics = [] } = await sns.send(new ListTopicsCommand({}));
    const topics = Topics.map(({ TopicArn }) => TopicArn!).filter((arn) => arn.includes(prefix));
    return { queues, topics, bound: (await subscriptions(prefix)).map(({ Endpoint }) => Endpoint) };
  }

  const planned = (transport: TransportFactory): Promise<SavedTopologyPlan> =>
    withApp(transport, SUBSCRIPTIONS, (app) => planTopology(app));
  const names = ({ connections: [{ entries }] }: SavedTopologyPlan): string[] =>
    entries.map(({ action, kind, name }) => `${action} ${kind} ${name}`);

  /** The plan makes nothing; what is applied is all that was planned. Resolves with the plan. */
  async function applied(transport: TransportFactory, prefix: string): Promise<SavedTopologyPlan> {
    const before = await listing(prefix);
    const plan = await planned(transport);
    expect(await listing(prefix)).toEqual(before);
    await withApp(transport, SUBSCRIPTIONS, (app) => applyTopology(app, plan));
    expect(names(await planned(transport)).filter((one) => !one.startsWith('unmanaged'))).toEqual([]);
    return plan;
  }

  test.each(['tags', 'sns'] as const)(
    'queues are planned, made by apply, and there afterwards: by %s',
    async (topics) => {
      const prefix = `planned-${topics}-`;
      const transport = on(prefix, topics);
      const plan = await applied(transport, prefix);
      expect(names(plan)).toEqual(ADDED);
      const [{ entries, unseen }] = plan.connections;
      expect(unseen).toEqual([]);
      expect(entries.map(({ wanted }) => wanted)).toMatchObject([
        { queue: { name: nameOf(prefix, DLQ), fifoQueue: false } },
        { queue: { redrivePolicy: { deadLetterQueue: { name: nameOf(prefix, DLQ) }, maxReceiveCount: 1_000 } } },
        { queue: { name: nameOf(prefix, 'shop:invoice:queue') } },
      ]);
      const made = await listing(prefix);
      await withApp(transport, SUBSCRIPTIONS, (app) => applyTopology(app));
      expect(await listing(prefix)).toEqual(made);
      const all = ['shop:invoice:queue', DLQ, QUEUE].map((queue) => nameOf(prefix, queue));
      expect(made.queues.map(({ QueueUrl }) => QueueUrl.split('/').at(-1))).toEqual(all);
      expect([made.topics.length, made.bound.length]).toEqual(topics === 'sns' ? [1, 2] : [0, 0]);
      const migrate = withApp(transport, SUBSCRIPTIONS, (app) => migrateQueue(app, { queue: 'shop:invoice:queue' }));
      await expect(migrate).rejects.toThrow('nothing that messages have to be moved for');
    },
    60_000,
  );

  test('what is missing or other is named by itself, with what it is and what it is to be', async () => {
    const prefix = 'other-';
    const transport = on(prefix, 'tags');
    await applied(transport, prefix);

    await client.send(new DeleteQueueCommand({ QueueUrl: await urlOf(prefix, DLQ) }));
    expect(names(await applied(transport, prefix))).toEqual([`add queue ${DLQ}`]);

    const QueueUrl = await urlOf(prefix, QUEUE);
    const redrive = (RedrivePolicy: string) =>
      client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { RedrivePolicy } }));
    await redrive('');
    const bare = await applied(transport, prefix);
    expect(bare.connections[0].entries).toMatchObject([
      {
        ...{ action: 'change', kind: 'queue', name: QUEUE },
        differences: [
          {
            name: 'redrivePolicy',
            wanted: { deadLetterQueue: nameOf(prefix, DLQ), maxReceiveCount: 1_000 },
            found: null,
          },
        ],
      },
    ]);

    await client.send(new TagQueueCommand({ QueueUrl, Tags: { 'messaging-route-0': 'order.former' } }));
    const routed = await applied(transport, prefix);
    expect(routed.connections[0].entries).toMatchObject([
      {
        ...{ action: 'change', kind: 'queue', name: QUEUE },
        differences: [{ name: 'patterns', wanted: ['order.created'], found: ['order.former'] }],
      },
    ]);

    const arn = (await client.send(new GetQueueAttributesCommand({ QueueUrl: await urlOf(prefix, DLQ), AttributeNames: ['QueueArn'] }))).Attributes!.QueueArn; // prettier-ignore
    await redrive(JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 5 }));
    const refused = await planned(transport);
    expect(refused.connections[0].entries).toMatchObject([
      { action: 'refuse', kind: 'queue', name: QUEUE, note: expect.stringContaining('maxReceiveCount 5') },
    ]);
    const before = await listing(prefix);
    const applying = withApp(transport, SUBSCRIPTIONS, (app) => applyTopology(app));
    await expect(applying).rejects.toThrow(/Nothing was made\.[^]*maxReceiveCount 5/);
    expect(await listing(prefix)).toEqual(before);
  }, 60_000);

  test('what nobody asks for any more is told and stays; a queue of somebody else is not named', async () => {
    const prefix = 'left-';
    const transport = on(prefix, 'tags');
    const more = [...SUBSCRIPTIONS, { route: 'former', dlq: false as const, retry: false as const }];
    await withApp(transport, more, (app) => applyTopology(app));
    await client.send(new CreateQueueCommand({ QueueName: `${prefix}theirs` }));
    expect(names(await applied(transport, prefix))).toEqual(['unmanaged queue shop:former:queue']);
    expect(await urlOf(prefix, 'shop:former:queue')).toContain(prefix);
  }, 60_000);

  test('a queue that is not subscribed to its topic on SNS any more is subscribed again', async () => {
    const prefix = 'unsubscribed-';
    const transport = on(prefix, 'sns');
    await applied(transport, prefix);
    const own = (await subscriptions(prefix)).find(({ Endpoint }) => Endpoint!.endsWith(nameOf(prefix, QUEUE)));
    await sns.send(new UnsubscribeCommand({ SubscriptionArn: own!.SubscriptionArn }));
    const plan = await applied(transport, prefix);
    expect(plan.connections[0].entries).toMatchObject([
      { action: 'change', name: QUEUE, differences: [{ name: 'subscription on SNS', wanted: 'events', found: null }] },
    ]);
    expect(await subscriptions(prefix)).toHaveLength(2);
  }, 60_000);
});
