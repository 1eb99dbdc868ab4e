import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { ConsumeMessage } from 'amqplib';
import { type MessageContext, MessagingModule, Publisher, Subscribe } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { boot, closeApplications, Seen } from '../e2e/support/application.js';
import { deferred } from '../unit/support/application.js';
import { beforeEachPeers, type Peers } from './peers.js';

afterEach(closeApplications);

describeRabbit('a reply to a client that waits on amq.rabbitmq.reply-to', (rabbit) => {
  let peers: Peers;
  beforeEachPeers(rabbit, (fresh) => (peers = fresh));

  test('arrives and is confirmed; one to a client that is gone is dropped by the broker, and confirmed', async () => {
    const outcomes = new Seen<string>();
    const left = deferred();
    @Injectable()
    class Handler {
      constructor(private readonly publisher: Publisher) {}

      @Subscribe('ask')
      async handle(question: string, { raw }: MessageContext): Promise<void> {
        const { replyTo, correlationId } = (raw as ConsumeMessage).properties as {
          replyTo: string;
          correlationId: string;
        };
        if (question === 'late') await left.promise;
        const settled = this.publisher
          .sendToQueue(replyTo, { answer: question }, { correlationId })
          .then(({ outcome }) => outcome)
          .catch(({ code }: { code: string }) => code);
        outcomes.add(await settled);
      }
    }
    const transport = rabbitmq({ url: peers.url, exchange: 'events' });
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport })],
      providers: [Handler],
    });
    const client = await peers.plain.createChannel();
    const replies = new Seen<ConsumeMessage>();
    await client.consume('amq.rabbitmq.reply-to', (message) => message && replies.add(message), { noAck: true });
    const ask = (question: string): boolean =>
      client.publish('events', 'ask', Buffer.from(JSON.stringify(question)), {
        replyTo: 'amq.rabbitmq.reply-to',
        correlationId: question,
      });
    ask('first');
    const [{ content, properties }] = await replies.until(1);
    expect(JSON.parse(content.toString())).toEqual({ answer: 'first' });
    expect(properties.correlationId).toBe('first');
    expect(await outcomes.until(1)).toEqual(['confirmed']);

    const gone = await peers.plain.createConfirmChannel();
    await gone.consume('amq.rabbitmq.reply-to', () => undefined, { noAck: true });
    gone.publish('events', 'ask', Buffer.from('"late"'), { replyTo: 'amq.rabbitmq.reply-to' });
    await gone.waitForConfirms();
    await gone.close();
    left.resolve();
    expect(await outcomes.until(2)).toEqual(['confirmed', 'confirmed']);

    await expect(get(Publisher).sendToQueue('no such queue', {})).rejects.toMatchObject({ code: 'UNROUTABLE' });
  });
});
