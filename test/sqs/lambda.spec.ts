import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { GetQueueUrlCommand, type Message, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Injectable, Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { DeadLetters, Messaging, MessagingModule, Outcome, Publisher, Subscribe } from 'nestjs-messaging';
import { createSqsHandler, sqs, type SqsEvent, type SqsOptions, type SqsRecord } from 'nestjs-messaging/sqs';
import { Proxy } from '../brokers/proxy.js';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';

Logger.overrideLogger(false);
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
let applications = 0;

@Injectable()
class Orders {
  readonly handled: string[] = [];
  /** By the text of a message: it is not handled before this has resolved. */
  readonly waits = new Map<string, Promise<void>>();

  @Subscribe('order.placed', { queue: 'orders', retry: { attempts: 3, backoff: () => 3_600_000 } })
  async place(order: { text: string }): Promise<void> {
    this.handled.push(order.text);
    await this.waits.get(order.text);
    if (order.text.startsWith('bad')) throw new Error('bad order');
  }
}

describeSqs('createSqsHandler', (broker) => {
  const open: { close(): Promise<void> }[] = [];
  let plain: SQSClient;
  let endpoint: string;

  beforeAll(async () => {
    endpoint = await broker.url();
    plain = new SQSClient({ region: 'us-east-1', endpoint, credentials, useQueueUrlAsEndpoint: false });
  });
  afterEach(async () => void (await Promise.all(open.splice(0).map((app) => app.close()))));
  afterAll(() => plain?.destroy());

  async function application(options: SqsOptions = {}) {
    const prefix = `lambda-${++applications}-`;
    const transport = sqs({ region: 'us-east-1', endpoint, prefix, lambda: true, waitTime: 0, routesRefresh: 0, options: { credentials }, ...options }); // prettier-ignore
    const module = await Test.createTestingModule({
      imports: [MessagingModule.forRoot({ service: 'shop', transport })],
      providers: [Orders],
    }).compile();
    open.push(module);
    await module.init();
    const ending = options.fifo ? '.fifo' : '';
    const { QueueUrl } = await plain.send(new GetQueueUrlCommand({ QueueName: `${prefix}orders${ending}` }));
    return { module, orders: module.get(Orders), publisher: module.get(Publisher), QueueUrl, name: `${prefix}orders${ending}` }; // prettier-ignore
  }

  /** Really received; SQS hides them from now on. */
  async function received(QueueUrl: string | undefined, count: number): Promise<Message[]> {
    const found: Message[] = [];
    await waitFor(async () => {
      const command = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: ['All'], AttributeNames: ['All'] }); // prettier-ignore
      found.push(...((await plain.send(command)).Messages ?? []));
      return found.length >= count;
    }, `${count} messages`);
    return found;
  }

  /** As the event source mapping of Lambda makes an event of them. */
  function eventOf(messages: readonly Message[], name: string): SqsEvent {
    const Records = messages.map((message): SqsRecord & Record<string, unknown> => ({
      messageId: message.MessageId!,
      receiptHandle: message.ReceiptHandle!,
      body: message.Body!,
      attributes: message.Attributes!,
      messageAttributes: Object.fromEntries(
        Object.entries(message.MessageAttributes ?? {}).map(([key, { DataType, StringValue, BinaryValue }]) => [
          key,
          {
            dataType: DataType!,
            ...(StringValue !== undefined && { stringValue: StringValue }),
            ...(BinaryValue !== undefined && { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
            stringListValues: [],
            binaryListValues: [],
          },
        ]),
      ),
      md5OfBody: message.MD5OfBody,
      eventSource: 'aws:sqs',
      eventSourceARN: `arn:aws:sqs:us-east-1:000000000000:${name}`,
      awsRegion: 'us-east-1',
    }));
    return { Records };
  }
  const failures = ({ batchItemFailures }: { batchItemFailures: { itemIdentifier: string }[] }): string[] =>
    batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  const idOf = (messages: readonly Message[], text: string): string =>
    messages.find(({ Body }) => Body!.includes(`"${text}"`))!.MessageId!;

  it('calls the same handlers, reports those that failed alone, and hides these until their retry', async () => {
    const { module, orders, publisher, QueueUrl, name } = await application();
    for (const text of ['one', 'bad', 'two']) await publisher.publish('order.placed', { text });
    const messages = await received(QueueUrl, 3);
    expect(orders.handled).toEqual([]);
    const handler = createSqsHandler(Promise.resolve(module));
    const context = { getRemainingTimeInMillis: () => 60_000 };
    expect(failures(await handler(eventOf(messages, name), context))).toEqual([idOf(messages, 'bad')]);
    expect(orders.handled.sort()).toEqual(['bad', 'one', 'two']);
    await expect(received(QueueUrl, 0)).resolves.toEqual([]);
  });

  it('writes a dead letter after the last attempt, by what SQS has counted, and reports the message as handled', async () => {
    const { module, publisher, QueueUrl, name } = await application();
    await publisher.publish('order.placed', { text: 'bad' });
    const messages = await received(QueueUrl, 1);
    messages[0].Attributes!.ApproximateReceiveCount = '3';
    expect(failures(await createSqsHandler(module)(eventOf(messages, name)))).toEqual([]);
    await waitFor(async () => (await module.get(DeadLetters).count()) === 1, 'the dead letter');
  });

  it('reports what is still handled shortly before the end of the call, and all that has not begun', async () => {
    const { module, orders, publisher, QueueUrl, name } = await application();
    let end!: () => void;
    orders.waits.set('slow', new Promise((resolve) => (end = resolve)));
    for (const text of ['slow', 'fast']) await publisher.publish('order.placed', { text });
    const messages = await received(QueueUrl, 2);
    const handler = createSqsHandler(module, { deadlineMargin: 0 });
    const context = { getRemainingTimeInMillis: () => 3_000 };
    expect(failures(await handler(eventOf(messages, name), context))).toEqual([idOf(messages, 'slow')]);
    end();
    // The next call is not disturbed by what came too late.
    await publisher.publish('order.placed', { text: 'next' });
    expect(failures(await handler(eventOf(await received(QueueUrl, 1), name)))).toEqual([]);
    expect(orders.handled).toEqual(expect.arrayContaining(['slow', 'fast', 'next']));
  });

  it('stops at the first failure of a group of a FIFO queue: all that follow in it are reported, uncalled; other groups go on', async () => {
    const { module, orders, publisher, QueueUrl, name } = await application({ fifo: true });
    const texts = ['a1', 'bad-a2', 'a3', 'a4', 'b1', 'b2'];
    for (const text of texts) await publisher.publish('order.placed', { text }, { key: text.replace('bad-', '')[0] });
    // The emulator hands out one message of a group at a time: of the others there is what it said of the first.
    const firsts = await received(QueueUrl, 2);
    const groups = new Map(firsts.map((message) => [message.Attributes!.MessageGroupId, message]));
    const messages = texts.map((text, at): Message => {
      const first = groups.get(text.replace('bad-', '')[0])!;
      const Body = first.Body!.replace(/[ab]1/, text);
      return { ...first, Body, MessageId: text, ReceiptHandle: Body === first.Body ? first.ReceiptHandle : `${at}` };
    });
    expect(failures(await createSqsHandler(module)(eventOf(messages, name)))).toEqual(['bad-a2', 'a3', 'a4']);
    expect(orders.handled.filter((text) => text.includes('a'))).toEqual(['a1', 'bad-a2']);
    expect(orders.handled.filter((text) => text.startsWith('b') && !text.startsWith('bad'))).toEqual(['b1', 'b2']);
  });

  it('calls nothing that follows a failure in its group, also where the event has more messages than are handled at once', async () => {
    const { module, publisher, name } = await application({ fifo: true });
    const handled: string[] = [];
    const attempts: number[] = [];
    await module
      .get<Messaging>(Messaging)
      .subscribe({ route: 'order.packed', queue: 'few', prefetch: 1 }, (body, { attempt }) => {
        const { text } = body as { text: string };
        handled.push(text);
        attempts.push(attempt);
        if (text.startsWith('bad')) return Outcome.retry(3_600_000);
      });
    const few = await plain.send(new GetQueueUrlCommand({ QueueName: name.replace('orders', 'few') }));
    for (const key of ['a', 'b']) await publisher.publish('order.packed', { text: `${key}1` }, { key });
    const firsts = await received(few.QueueUrl, 2);
    const texts = ['a1', 'bad-a2', 'a3', 'b1', 'a4', 'b2'];
    const messages = texts.map((text): Message => {
      const first = firsts.find(({ Body }) => Body!.includes(text.replace('bad-', '')[0]))!;
      const Body = first.Body!.replace(/[ab]1/, text);
      return { ...first, Body, MessageId: text, ReceiptHandle: Body === first.Body ? first.ReceiptHandle : text };
    });
    const event = eventOf(messages, name.replace('orders', 'few'));
    expect(failures(await createSqsHandler(module)(event))).toEqual(['bad-a2', 'a3', 'a4']);
    expect(handled).toEqual(['a1', 'bad-a2', 'b1', 'b2']);
    // What went back uncalled has its attempts, in this process.
    const [, , a3] = messages;
    const again = { ...a3, ReceiptHandle: 'again', Attributes: { ...a3.Attributes, ApproximateReceiveCount: '2' } };
    await createSqsHandler(module)(eventOf([again], name.replace('orders', 'few')));
    expect([handled.at(-1), attempts.at(-1)]).toEqual(['a3', 1]);
  });

  it('reports what an outage took along, and handles the next event when the connection is back', async () => {
    const proxy = await Proxy.start(endpoint);
    open.push(proxy);
    const { module, orders, publisher, QueueUrl, name } = await application({ endpoint: `http://127.0.0.1:${proxy.port}` }); // prettier-ignore
    let end!: () => void;
    orders.waits.set('slow', new Promise((resolve) => (end = resolve)));
    for (const text of ['slow', 'next']) await publisher.publish('order.placed', { text });
    const messages = await received(QueueUrl, 2);
    const [slow, next] = ['slow', 'next'].map((text) => messages.filter(({ Body }) => Body!.includes(`"${text}"`)));
    const handler = createSqsHandler(module);
    const answer = handler(eventOf(slow, name), { getRemainingTimeInMillis: () => 600_000 });
    await waitFor(() => orders.handled.includes('slow'), 'the first call');
    await proxy.refuse(true);
    proxy.reset();
    const sent = publisher.publish('order.placed', { text: 'later' });
    expect(failures(await answer)).toEqual([idOf(messages, 'slow')]);
    end();
    const following = handler(eventOf(next, name), { getRemainingTimeInMillis: () => 600_000 });
    await proxy.refuse(false);
    expect(failures(await following)).toEqual([]);
    expect(orders.handled).toContain('next');
    await sent;
  });

  it('rejects an event of a queue that nothing consumes, by name, so that all of it comes again', async () => {
    const { module, publisher, QueueUrl, name } = await application();
    await publisher.publish('order.placed', { text: 'one' });
    const event = eventOf(await received(QueueUrl, 1), `${name}-other`);
    await expect(createSqsHandler(module)(event)).rejects.toThrow(/No subscription consumes from arn:aws:sqs.*-other; subscribed are «orders»/); // prettier-ignore
  });

  it('needs a transport that does not poll: the error says so', async () => {
    const { module } = await application({ lambda: false });
    await expect(createSqsHandler(module)({ Records: [] })).rejects.toThrow(/sqs\(\{ lambda: true \}\)/);
    expect(() => createSqsHandler(module, { deadlineMargin: -1 })).toThrow(/deadlineMargin/);
  });
});
