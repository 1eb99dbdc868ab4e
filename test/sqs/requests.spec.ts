import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../lib/clock/clock.js';
import type { Delivery } from '../../lib/transport/delivery.js';
import type { Outgoing, PublishResult } from '../../lib/transport/outgoing.js';
import type { Topology } from '../../lib/transport/topology.js';
import type { Transport, TransportEvent } from '../../lib/transport/transport.js';
import type { QueueBrowser } from '../../lib/transports/sqs/browser.js';
import type { SqsDelivery } from '../../lib/transports/sqs/delivery.js';
import type { SqsOptions } from '../../lib/transports/sqs/options.js';
import { sqs } from '../../lib/transports/sqs/sqs.js';
import { waitFor } from '../brokers/wait-for.js';
import { FakeSqs, type Json } from './fake-sqs.js';

const secretAccessKey = 'planted-secret';
const topology: Topology = { queue: 'q', patterns: ['a'], provision: true };
interface Batch {
  readonly Entries: readonly { readonly Id: string; readonly MessageBody: string; readonly ReceiptHandle: string; readonly VisibilityTimeout: number; readonly MessageGroupId?: string }[]; // prettier-ignore
}

describe('The SQS transport, by its requests', () => {
  let fake: FakeSqs;
  let transport: Transport;
  let events: TransportEvent[];

  const create = (options: SqsOptions = {}): Transport =>
    sqs({
      region: 'us-east-1',
      endpoint: fake.endpoint,
      lease: 3_000,
      options: { credentials: { accessKeyId: 'test', secretAccessKey }, md5: false },
      ...options,
    }).create();
  const connect = async (options?: SqsOptions, provision = true): Promise<void> => {
    transport = create(options);
    await transport.connect({
      clock: systemClock,
      service: 'test',
      random: Math.random,
      reconnect: { initial: 20, max: 100, jitter: 0 },
      confirmTimeout: 5_000,
      provision,
      onEvent: (event) => events.push(event),
    });
  };
  let made = 0;
  const outgoing = (body: string | Buffer, headers: Json = {}): Outgoing => ({
    to: { kind: 'route', route: 'a' },
    message: { id: `id-${++made}`, route: 'a', body: Buffer.from(body), headers: headers as never, properties: {} },
    dedupeId: `dedupe-${made}`,
    mandatory: true,
  });
  const publish = async (...batch: Outgoing[]): Promise<PublishResult[]> => {
    const results = new Map<Outgoing, PublishResult>();
    await new Promise<void>((resolve) =>
      transport.publish(batch, (one, result) => void (results.set(one, result).size === batch.length && resolve())),
    );
    return batch.map((one) => results.get(one)!);
  };
  const bodies = ({ Entries }: Batch): string[] => Entries.map(({ MessageBody }) => MessageBody);
  const consume = async (queue: Topology, prefetch = 10): Promise<Delivery[]> => {
    const deliveries: Delivery[] = [];
    const handlers = { delivery: (one: Delivery) => void deliveries.push(one), lost() {}, state() {} };
    await transport.subscribe({ topology: queue, prefetch }, handlers);
    return deliveries;
  };
  /** One poll brings these; the next ones are held open. */
  const arrives = (...messages: { readonly id: string; readonly group?: string }[]): void => {
    const Messages = messages.map(({ id, group = 'g' }) => ({
      MessageId: id,
      ReceiptHandle: id,
      Body: id,
      Attributes: { ApproximateReceiveCount: '1', MessageGroupId: group },
    }));
    fake.answers.ReceiveMessage = () => {
      delete fake.answers.ReceiveMessage;
      return { Messages };
    };
  };

  beforeEach(async () => {
    events = [];
    fake = await FakeSqs.start();
  });
  afterEach(async () => {
    // What is held open is cut off: nobody waits for it.
    fake.answers.ReceiveMessage = () => ({ fault: 'ServiceUnavailable', status: 503 });
    const stopped = fake.stop();
    await transport?.close();
    await stopped;
  });

  it('sends again only the entries that SQS did not take, or did not name', async () => {
    await connect();
    await transport.declare(topology);
    fake.answers.SendMessageBatch = () => {
      delete fake.answers.SendMessageBatch;
      return {
        Successful: [{ Id: '0', MessageId: '0', MD5OfMessageBody: '' }],
        Failed: [{ Id: '1', Code: 'InternalError', SenderFault: false }],
      };
    };
    const results = await publish(outgoing('one'), outgoing('two'), outgoing('three'));
    expect(results.map(({ status }) => status)).toEqual(['confirmed', 'confirmed', 'confirmed']);
    expect(fake.of<Batch>('SendMessageBatch').map(bodies)).toEqual([
      ['one', 'two', 'three'],
      ['two', 'three'],
    ]);
  });

  it('refuses an entry that SQS will never take, and confirms the others', async () => {
    await connect();
    await transport.declare(topology);
    fake.answers.SendMessageBatch = () => ({
      Successful: [{ Id: '0', MessageId: '0', MD5OfMessageBody: '' }],
      Failed: [{ Id: '1', Code: 'AWS.SimpleQueueService.InvalidMessageContents', SenderFault: true }],
    });
    const results = await publish(outgoing('good'), outgoing('bad'));
    expect(results.map(({ status }) => status)).toEqual(['confirmed', 'refused']);
    expect(fake.of('SendMessageBatch')).toHaveLength(1);
  });

  it('sends a throttled request again, and says nothing until then', async () => {
    await connect();
    await transport.declare(topology);
    let left = 2;
    fake.answers.SendMessageBatch = () => (left-- > 0 ? { fault: 'ThrottlingException', status: 400 } : undefined);
    expect((await publish(outgoing('a')))[0].status).toBe('confirmed');
    expect(fake.of('SendMessageBatch')).toHaveLength(3);
    expect(events.map(({ type }) => type)).toEqual(['connected']);
  });

  it('has at most ten entries and one mebibyte in a request, attributes counted', async () => {
    await connect();
    await transport.declare(topology);
    await publish(...Array.from({ length: 25 }, (_, at) => outgoing(`${at}`)));
    expect(fake.of<Batch>('SendMessageBatch').map(({ Entries }) => Entries.length)).toEqual([10, 10, 5]);
    const large = 'x'.repeat(340_000);
    await publish(...Array.from({ length: 4 }, () => outgoing(large, { note: 'y'.repeat(10_000) })));
    expect(fake.of<Batch>('SendMessageBatch').slice(3).map(({ Entries }) => Entries.length)).toEqual([2, 2]); // prettier-ignore
  });

  it('sends what comes one by one together, once the request that is under way has its answer', async () => {
    await connect();
    await transport.declare(topology);
    expect((await publish(outgoing('known')))[0].status).toBe('confirmed');
    fake.held = 'SendMessageBatch';
    const first = publish(outgoing('first'));
    await waitFor(() => fake.of('SendMessageBatch').length === 2, 'a request');
    const rest = Array.from({ length: 4 }, async (_, at) => publish(outgoing(`${at}`)));
    fake.release();
    await Promise.all([first, ...rest]);
    expect(fake.of<Batch>('SendMessageBatch').slice(1).map(bodies)).toEqual([['first'], ['0', '1', '2', '3']]);
  });

  it('sends several full batches at a time, and of a key one', async () => {
    await connect();
    await transport.declare(topology);
    fake.held = 'SendMessageBatch';
    const keyed = Array.from({ length: 30 }, (_, at) => outgoing(`k${at}`, { 'messaging-key': 'k' }));
    const results = publish(...keyed, ...Array.from({ length: 30 }, (_, at) => outgoing(`${at}`)));
    const sent = (): string[] => fake.of<Batch>('SendMessageBatch').flatMap(bodies);
    await waitFor(() => sent().length === 40, 'four requests');
    expect(sent().filter((body) => body.startsWith('k'))).toHaveLength(10);
    fake.release();
    await results;
    const numbers = sent().filter((body) => body.startsWith('k')).map((body) => Number(body.slice(1))); // prettier-ignore
    expect(numbers).toEqual(Array.from({ length: 30 }, (_, at) => at));
    expect(sent()).toHaveLength(60);
  });

  it('sends nothing more to a busy service before the pause, then what it did not take first', async () => {
    await connect();
    await transport.declare(topology);
    let isBusy = true;
    fake.answers.SendMessageBatch = () => {
      const answer = isBusy ? { fault: 'ThrottlingException', status: 400 } : undefined;
      isBusy = false;
      return answer;
    };
    const ofOneKey = Array.from({ length: 30 }, (_, at) => outgoing(`${at}`, { 'messaging-key': 'k' }));
    const results = await publish(...ofOneKey);
    expect(results.every(({ status }) => status === 'confirmed')).toBe(true);
    const sent = fake.of<Batch>('SendMessageBatch').map(bodies);
    expect(sent[1]).toEqual(sent[0]);
    expect(sent.slice(1).flat().map(Number)).toEqual(Array.from({ length: 30 }, (_, at) => at)); // prettier-ignore
  });

  it('refuses what is too large with its headers before it is sent', async () => {
    await connect();
    await transport.declare(topology);
    const [result] = await publish(outgoing('x'.repeat(700_000), { note: 'y'.repeat(400_000) }));
    expect(result).toMatchObject({ status: 'refused', error: { code: 'MESSAGE_TOO_LARGE' } });
    expect(fake.of('SendMessageBatch')).toHaveLength(0);
  });

  it('sends while a hundred subscriptions hold a poll open, twice as many as a client of the SDK has sockets', async () => {
    // No poll may end before the last has begun, however slow the machine is.
    const native = { credentials: { accessKeyId: 'test', secretAccessKey }, md5: false as const };
    await connect({ routesRefresh: 600_000, options: { ...native, requestHandler: { requestTimeout: 150_000 } } });
    await transport.declare(topology);
    expect((await publish(outgoing('a')))[0].status).toBe('confirmed');
    const queues = Array.from({ length: 100 }, (_, at) => ({ ...topology, queue: `q${at}`, patterns: [] }));
    await Promise.all(queues.map((queue) => consume(queue)));
    await waitFor(() => fake.polls === 100, 'a hundred polls', 120_000);
    expect((await publish(outgoing('a')))[0].status).toBe('confirmed');
    expect(fake.polls).toBe(100);
  }, 180_000);

  it('never asks for more messages than there is room for', async () => {
    await connect();
    arrives({ id: '1' }, { id: '2' });
    const deliveries = await consume(topology, 3);
    await waitFor(() => deliveries.length === 2 && fake.polls === 1, 'two deliveries, and a poll');
    expect(fake.of('ReceiveMessage').map(({ MaxNumberOfMessages }) => MaxNumberOfMessages)).toEqual([3, 1]);
  });

  it('deletes again what SQS did not delete, and hides what is held for another lease', async () => {
    await connect();
    arrives({ id: '1' }, { id: '2' }, { id: '3' });
    const deliveries = await consume(topology);
    await waitFor(() => deliveries.length === 3, 'three deliveries');
    fake.answers.DeleteMessageBatch = () => {
      delete fake.answers.DeleteMessageBatch;
      return { Successful: [{ Id: '0' }], Failed: [] };
    };
    deliveries[0].ack();
    deliveries[1].ack();
    await waitFor(() => fake.of('DeleteMessageBatch').length === 2, 'two requests');
    const handles = ({ Entries }: Batch): string[] => Entries.map(({ ReceiptHandle }) => ReceiptHandle);
    expect(fake.of<Batch>('DeleteMessageBatch').map(handles)).toEqual([['1', '2'], ['2']]);
    await waitFor(() => fake.of('ChangeMessageVisibilityBatch').length > 0, 'a heartbeat');
    const [{ Entries }] = fake.of<Batch>('ChangeMessageVisibilityBatch');
    expect(Entries).toEqual([{ Id: '0', ReceiptHandle: '3', VisibilityTimeout: 3 }]);
  });

  it('tells of a copy that is stored, though its original is deleted only at the second try, or not', async () => {
    await connect();
    await transport.declare(topology);
    arrives({ id: '1' }, { id: '2' });
    const browser = (await transport.queues!.browse('q')) as QueueBrowser;
    const to: Outgoing = { ...outgoing('copy'), to: { kind: 'queue', queue: 'q' } };
    const shown = [await browser.next(), await browser.next()] as SqsDelivery[];
    fake.answers.DeleteMessageBatch = () => ({ fault: 'AccessDenied', status: 403 });
    await expect(browser.move(shown[0], to)).resolves.toEqual({ status: 'confirmed' });
    expect(fake.of('DeleteMessageBatch')).toHaveLength(2);
    await browser.close();
  });

  it('rejects credentials that SQS refuses, with the remedy and without the secret', async () => {
    fake.answers.ListQueues = () => ({ fault: 'com.amazon.coral.service#UnrecognizedClientException', status: 403 });
    const error = await connect().catch((one: Error) => one);
    expect(error).toMatchObject({ code: 'BROKER_CONFIGURATION', retryable: false });
    expect(String(error)).toContain('sqs.options.credentials');
    expect(JSON.stringify([String(error), events])).not.toContain(secretAccessKey);
  });

  it('names a missing queue, its name on SQS and the remedy where nothing may be made', async () => {
    await connect({}, false);
    await expect(transport.declare({ ...topology, queue: 'orders:a', provision: false })).rejects.toThrow(
      /«orders:a» \(messaging-orders_3Aa\) does not exist on SQS at 127.*Create it, or set «provision» to true/,
    );
    expect(fake.of('CreateQueue')).toHaveLength(0);
  });

  it('refuses a queue from which SQS takes messages before their retries are over', async () => {
    await connect();
    await transport.declare(topology);
    const policy = JSON.stringify({ deadLetterTargetArn: 'arn:aws:sqs:us-east-1:1:dead', maxReceiveCount: 5 });
    fake.answers.GetQueueAttributes = () => ({ Attributes: { RedrivePolicy: policy, QueueArn: 'arn' } });
    const deadLetter = { queue: 'dead', route: 'dead' };
    await expect(transport.declare({ ...topology, deadLetter })).rejects.toThrow(/«q».*maxReceiveCount 5.*Raise it/);
  });

  describe('with FIFO queues', () => {
    it('hands out a group one by one, and keeps its order while the first is retried', async () => {
      await connect({ fifo: true });
      arrives({ id: '1', group: 'a' }, { id: '2', group: 'a' }, { id: '3', group: 'b' }, { id: '4', group: 'a' });
      const deliveries = await consume(topology);
      const seen = (): string[] =>
        deliveries.map(({ message, deliveryCount }) => `${message.body.toString()}#${deliveryCount}`);
      await waitFor(() => deliveries.length === 2, 'the first of each group');
      expect(seen()).toEqual(['1#0', '3#0']);
      deliveries[0].release(10);
      await waitFor(() => deliveries.length === 3, 'the first once more');
      expect(seen().at(-1)).toBe('1#1');
      deliveries[2].ack();
      await waitFor(() => deliveries.length === 4, 'the second');
      deliveries[3].ack();
      await waitFor(() => deliveries.length === 5, 'the last');
      expect(seen()).toEqual(['1#0', '3#0', '1#1', '2#0', '4#0']);
      expect(fake.of('ChangeMessageVisibilityBatch')).toEqual([]);
    });

    it('gives back a group behind its first when it stops', async () => {
      await connect({ fifo: true });
      arrives({ id: '1' }, { id: '2' });
      const deliveries: Delivery[] = [];
      await transport.declare(topology);
      const handlers = { delivery: (one: Delivery) => void deliveries.push(one), lost() {}, state() {} };
      const subscription = await transport.subscribe({ topology, prefetch: 10 }, handlers);
      await waitFor(() => deliveries.length === 1, 'the first');
      await subscription.stop();
      await waitFor(() => fake.of('ChangeMessageVisibilityBatch').length === 1, 'the second goes back');
      const [{ Entries }] = fake.of<Batch>('ChangeMessageVisibilityBatch');
      expect(Entries).toEqual([{ Id: '0', ReceiptHandle: '2', VisibilityTimeout: 0 }]);
      expect(deliveries).toHaveLength(1);
    });

    it('sends one message of a group in a request, in order, with its de-duplication id', async () => {
      await connect({ fifo: true });
      await transport.declare(topology);
      const key = { 'messaging-key': 'k' };
      await publish(outgoing('1', key), outgoing('2', key), outgoing('3'), outgoing('4', key));
      expect(fake.of<Batch>('SendMessageBatch').map(bodies)).toEqual([['1', '3'], ['2'], ['4']]);
      expect(fake.of('CreateQueue')[0]).toMatchObject({
        QueueName: 'messaging-q.fifo',
        Attributes: { FifoQueue: 'true' },
      });
      expect(fake.of<Batch>('SendMessageBatch')[0].Entries[0].MessageGroupId).toBe('k');
    });

    it('sends several batches at a time, but of a key the next only when SQS has the one before it', async () => {
      await connect({ fifo: true });
      await transport.declare(topology);
      fake.held = 'SendMessageBatch';
      const numbers = Array.from({ length: 60 }, (_, at) => at);
      const results = publish(...numbers.map((at) => outgoing(`${at}`, { 'messaging-key': `k${at % 30}` })));
      await waitFor(() => fake.of('SendMessageBatch').length === 3, 'three requests');
      fake.release();
      await results;
      const sent = fake.of<Batch>('SendMessageBatch').map(bodies);
      // The requests may overtake each other on their way.
      expect(new Set(sent.slice(0, 3).flat().map(Number))).toEqual(new Set(numbers.slice(0, 30)));
      for (let key = 0; key < 30; key++)
        expect(sent.flat().map(Number).filter((at) => at % 30 === key)).toEqual([key, key + 30]); // prettier-ignore
      expect(sent.every((batch) => new Set(batch.map((at) => Number(at) % 30)).size === batch.length)).toBe(true);
    });

    it('refuses what is delayed', async () => {
      await connect({ fifo: true });
      await transport.declare(topology);
      const [result] = await publish({ ...outgoing('1'), dueAt: Date.now() + 5_000 });
      expect(result).toMatchObject({ status: 'refused' });
    });
  });
});
