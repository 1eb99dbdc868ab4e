import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import { ListTopicsCommand, SNSClient } from '@aws-sdk/client-sns';
import { describe, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Subscribe } from 'nestjs-messaging';
import { asyncApi } from 'nestjs-messaging/asyncapi';
import { sqs } from 'nestjs-messaging/sqs';
import { compareDocuments } from '../../lib/asyncapi/document-comparison.js';
import { describeSqs } from '../brokers/sqs.js';
import { moduleWith } from '../topology/support/application.js';
import { documentOf } from './document-of.js';
import { transports } from './transports.js';

@Injectable()
class Orders {
  @Subscribe('order.created', { name: 'billing' })
  bill(): void {}
}

const told = (name: string): Promise<any> => documentOf([Orders], { publishes: ['order.created'] }, transports[name]);
const queueOf = ({ channels }: any): any => channels['shop:billing:queue'];

describe('what is told of a broker that AsyncAPI has no binding for', () => {
  test('Redis: the key of a stream', async () => {
    const document = await told('redis');
    expect(document.servers.default).toMatchObject({ host: 'redis.example:6379', pathname: '/1', protocol: 'rediss' });
    expect(queueOf(document)).not.toHaveProperty('bindings');
    expect(queueOf(document)['x-nestjs-messaging-queue'].stream).toBe('{messaging}:stream:shop:billing:queue');
  });

  test('PostgreSQL: the schema of the tables', async () => {
    const document = await told('postgres');
    expect(document.servers.default).toMatchObject({ protocol: 'postgres', pathname: '/orders' });
    expect(queueOf(document)['x-nestjs-messaging-queue']).toMatchObject({ schema: 'messaging' });
  });
});

describe('SQS and SNS', () => {
  test('queues and their dead-letter queues, and no channel of SNS where there is none', async () => {
    const document = await told('sqs');
    expect(document.servers.default).toMatchObject({ protocol: 'sqs' });
    expect(queueOf(document).bindings).toEqual({
      sqs: {
        queue: {
          name: 'messaging-shop_3Abilling_3Aqueue',
          fifoQueue: false,
          visibilityTimeout: 30,
          messageRetentionPeriod: 1_209_600,
          redrivePolicy: { deadLetterQueue: { name: 'messaging-shop_3Abilling_3Adlq' }, maxReceiveCount: 1_000 },
        },
        deadLetterQueue: expect.objectContaining({ name: 'messaging-shop_3Abilling_3Adlq' }),
        bindingVersion: '0.2.0',
      },
    });
    expect(document.operations['Orders.bill'].bindings.sqs.queues).toEqual([{ name: 'messaging-shop_3Abilling_3Aqueue', fifoQueue: false }]); // prettier-ignore
    expect(document.channels['order.created']).not.toHaveProperty('bindings');
  });

  test('topics of SNS, with the ends that FIFO asks for', async () => {
    const { bindings } = (await told('sqs with fifo queues')).channels['order.created'];
    expect(bindings.sns).toEqual({ name: 'shop-events.fifo', ordering: { type: 'FIFO', contentBasedDeduplication: false }, bindingVersion: '0.1.0' }); // prettier-ignore
    const topic = 'arn:aws:sns:eu-central-1:1:theirs';
    const { channels } = await documentOf([], { publishes: [{ route: 'a', topic }] }, transports['sqs by sns']);
    expect(channels[`${topic}/a`].bindings.sns.name).toBe('theirs');
  });

  test('another lease is nothing that breaks; another prefix is another queue', async () => {
    const before = await told('sqs');
    const withOptions = (options: object): Promise<unknown> => documentOf([Orders], { publishes: ['order.created'] }, sqs({ region: 'eu-central-1', ...options })); // prettier-ignore
    const verdicts = async (options: object): Promise<string[]> => compareDocuments(before, await withOptions(options)).map(({ verdict }) => verdict); // prettier-ignore
    expect(await verdicts({ lease: 60_000 })).toEqual(['ok']);
    expect(await verdicts({ prefix: 'other-' })).toContain('breaks');
  });
});

test.each(Object.keys(transports))('the document of %s has no password, and is the same each time', async (name) => {
  const [one, other] = [JSON.stringify(await told(name)), JSON.stringify(await told(name))];
  expect(one).not.toContain('hunter2');
  expect(one).toBe(other);
});

describeSqs('what is told and what a start makes', (broker) => {
  test('queue, dead-letter queue and topic are called so, and are so', async () => {
    const endpoint = await broker.url();
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const transport = sqs({ region: 'us-east-1', endpoint, topics: 'sns', prefix: 'told-', options: { credentials } });
    const app = await NestFactory.createApplicationContext(moduleWith(transport, [{ route: 'order.created', name: 'billing' }]), { logger: false }); // prettier-ignore
    const { channels }: any = asyncApi(app);
    const [plain, sns] = [SQSClient, SNSClient].map((Client: any) => new Client({ region: 'us-east-1', endpoint, credentials, useQueueUrlAsEndpoint: false })); // prettier-ignore
    const { queue, deadLetterQueue } = channels['shop:billing:queue'].bindings.sqs;
    const { QueueUrl } = await plain.send(new GetQueueUrlCommand({ QueueName: queue.name }));
    const { Attributes } = await plain.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }));
    expect(Attributes).toMatchObject({
      VisibilityTimeout: String(queue.visibilityTimeout),
      MessageRetentionPeriod: String(queue.messageRetentionPeriod),
    });
    const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(Attributes.RedrivePolicy);
    expect(deadLetterTargetArn.endsWith(`:${deadLetterQueue.name}`)).toBe(true);
    expect(Number(maxReceiveCount)).toBe(queue.redrivePolicy.maxReceiveCount);
    const { Topics } = await sns.send(new ListTopicsCommand({}));
    const names = Topics.map(({ TopicArn }: { TopicArn: string }) => TopicArn.split(':').at(-1));
    expect(names).toContain(channels['order.created'].bindings.sns.name);
    await app.close();
    for (const client of [plain, sns]) client.destroy();
  }, 60_000);
});
