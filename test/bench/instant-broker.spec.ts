import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Channel, type ChannelModel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';

const QUEUE = 'orders';
const MESSAGE = {
  exchange: 'events',
  routingKey: 'order.created',
  properties: { persistent: true, messageId: 'one', type: 'order.created', headers: { 'messaging-version': 1 } },
  body: '{"item":"book"}',
};

let broker: ChildProcess;
let connection: ChannelModel;
let url: string;

beforeAll(async () => {
  broker = fork(join(__dirname, '../../bench/instant/process.mjs'));
  [{ url }] = await once(broker, 'message');
  connection = await connect(url);
});

afterAll(async () => {
  await connection.close();
  broker.disconnect();
  await once(broker, 'exit');
});

describe('the instant broker, to a plain client', () => {
  it('answers every declaration', async () => {
    const channel = await connection.createChannel();
    await channel.assertExchange('events', 'topic');
    await channel.assertExchange('audit', 'fanout', { arguments: { 'alternate-exchange': 'events' } });
    await channel.bindExchange('audit', 'events', '#');
    expect(await channel.assertQueue(QUEUE)).toEqual({ queue: QUEUE, messageCount: 0, consumerCount: 0 });
    expect((await channel.checkQueue(QUEUE)).queue).toBe(QUEUE);
    expect((await channel.assertQueue('')).queue).not.toBe('');
    await channel.bindQueue(QUEUE, 'events', 'order.*', { 'x-match': 'all' });
    await channel.unbindQueue(QUEUE, 'events', 'order.*');
    expect(await channel.purgeQueue(QUEUE)).toEqual({ messageCount: 0 });
    expect(await channel.get(QUEUE)).toBe(false);
    expect(await channel.deleteQueue(QUEUE)).toEqual({ messageCount: 0 });
    await channel.deleteExchange('audit');
    await channel.close();
  });

  it('confirms every publish, whatever its size', async () => {
    const channel = await connection.createConfirmChannel();
    const sizes = [0, 1, 200_000, 256, 131_072];
    const confirmed = sizes.map((size) => publish(channel, Buffer.alloc(size)));
    expect(await Promise.all(confirmed)).toEqual(sizes);
    await channel.close();
  });

  it('keeps the prefetch full and never exceeds it', async () => {
    await offer();
    const { channel, received, until, consumerTag } = await consumer({ prefetch: 3 });
    await until(3);
    // Another answer on the same channel: whatever was sent before it has arrived.
    await channel.checkQueue(QUEUE);
    expect(received).toHaveLength(3);
    channel.ack(received[1]);
    await until(4);
    channel.ack(received[2], true);
    channel.nack(received[3]);
    await until(7);
    await channel.checkQueue(QUEUE);
    expect(received.map(({ fields }) => fields.deliveryTag)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await channel.cancel(consumerTag);
    channel.ackAll();
    await channel.checkQueue(QUEUE);
    expect(received).toHaveLength(7);
    await channel.close();
  });

  it('delivers what was offered for a queue, and nothing from others', async () => {
    await offer();
    const { channel, received, until } = await consumer({ prefetch: 1 });
    await channel.consume('another', () => received.splice(0));
    await until(1);
    await channel.checkQueue('another');
    const [{ content, fields, properties }] = received;
    expect(content.toString()).toBe(MESSAGE.body);
    expect(fields).toMatchObject({ exchange: 'events', routingKey: 'order.created', redelivered: false });
    expect(properties).toMatchObject({ deliveryMode: 2, messageId: 'one', type: 'order.created' });
    expect(properties.headers).toEqual({ 'messaging-version': 1 });
    await channel.close();
  });

  it('refuses consumers without acks, since nothing would hold it back', async () => {
    await offer();
    const other = await connect(url);
    const refused = once(other, 'error');
    const channel = await other.createChannel();
    channel.consume(QUEUE, () => {}, { noAck: true }).catch(() => {});
    const [error] = (await refused) as [Error];
    expect(error.message).toContain('NOT_IMPLEMENTED');
  });
});

async function offer(): Promise<void> {
  broker.send({ queue: QUEUE, message: MESSAGE });
  await once(broker, 'message');
}

function publish(channel: ConfirmChannel, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    channel.publish('events', 'order.created', body, {}, (error) =>
      error ? reject(error as Error) : resolve(body.length),
    );
  });
}

async function consumer({ prefetch }: { prefetch: number }) {
  const channel: Channel = await connection.createChannel();
  const received: ConsumeMessage[] = [];
  let wanted = Infinity;
  let reached = (): void => {};
  await channel.prefetch(prefetch);
  const { consumerTag } = await channel.consume(QUEUE, (message) => {
    received.push(message!);
    if (received.length >= wanted) reached();
  });
  const until = (count: number): Promise<void> =>
    new Promise((resolve) => {
      wanted = count;
      reached = resolve;
      if (received.length >= count) resolve();
    });
  return { channel, received, until, consumerTag };
}
