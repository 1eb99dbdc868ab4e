import { describe, expect, it } from '@jest/globals';
import { MemoryBroker } from '../../../lib/transports/memory/memory-broker.js';
import { Fifo } from '../../../lib/transports/memory/fifo.js';
import { MinHeap } from '../../../lib/transports/memory/min-heap.js';
import { Client, numbered, topology } from './client.js';

const q = topology('q');

describe('a queue', () => {
  it('hands messages out in the order they came', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q);
    await client.publish('q', ...numbered(50));
    expect(consumer.ids).toEqual(numbered(50).map(({ id }) => id));
  });

  it('never hands out from within publish or ack', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 1);
    client.send('q', ...numbered(2));
    expect(consumer.ids).toEqual([]);
    expect(client.results).toEqual([]);
    await client.clock.advance(0);
    consumer.deliveries[0].ack();
    expect(consumer.ids).toEqual(['0']);
    await client.clock.advance(0);
    expect(consumer.ids).toEqual(['0', '1']);
  });

  it('gives a consumer no more than its prefetch unsettled', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 3);
    await client.publish('q', ...numbered(10));
    expect(consumer.ids).toEqual(['0', '1', '2']);
    consumer.deliveries[1].ack();
    await client.clock.advance(0);
    expect(consumer.ids).toEqual(['0', '1', '2', '3']);
  });

  it('lets its consumers take turns and passes over one that is full', async () => {
    const client = await Client.connect();
    const [first, second] = [await client.consume(q, 2), await client.consume(q, 100)];
    await client.publish('q', ...numbered(6));
    expect(first.ids).toEqual(['0', '2']);
    expect(second.ids).toEqual(['1', '3', '4', '5']);
  });

  it('returns unsettled messages in their original order when the connection ends', async () => {
    const broker = new MemoryBroker();
    const leaving = await Client.connect(broker);
    const consumer = await leaving.consume(q, 6);
    await leaving.publish('q', ...numbered(10));
    consumer.deliveries[2].ack();
    consumer.deliveries[4].release();
    await leaving.clock.advance(0);
    await leaving.transport.close();
    const next = await Client.connect(broker);
    const after = await next.consume(q);
    expect(after.ids).toEqual(['0', '1', '3', '4', '5', '6', '7', '8', '9']);
    expect(after.deliveries.map(({ deliveryCount }) => deliveryCount)).toEqual([1, 1, 1, 2, 1, 1, 0, 0, 0]);
  });

  it('puts a released message back to its place', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 1);
    await client.publish('q', ...numbered(3));
    consumer.deliveries[0].release();
    await client.clock.advance(0);
    expect(consumer.ids).toEqual(['0', '0']);
    expect(consumer.deliveries[1].deliveryCount).toBe(1);
  });

  it('keeps a message released with a delay to itself until then', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 1);
    await client.publish('q', ...numbered(2));
    consumer.deliveries[0].release(5_000);
    await client.clock.advance(4_999);
    expect(consumer.ids).toEqual(['0', '1']);
    consumer.deliveries[1].ack();
    await client.clock.advance(1);
    expect(consumer.ids).toEqual(['0', '1', '0']);
  });

  it('settles a delivery once', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 1);
    await client.publish('q', ...numbered(3));
    const [first] = consumer.deliveries;
    first.ack();
    first.ack();
    first.release();
    await client.clock.advance(0);
    expect(consumer.ids).toEqual(['0', '1']);
    expect(client.broker.queues()).toEqual([{ name: 'q', ready: 1, unsettled: 1, consumers: 1 }]);
  });

  it('fails publishes above its bound, and takes them again below', async () => {
    const client = await Client.connect(new MemoryBroker({ maxMessages: 2 }));
    await client.transport.declare(q);
    await client.publish('q', ...numbered(3));
    expect(client.results).toEqual([
      ['0', 'confirmed'],
      ['1', 'confirmed'],
      ['2', 'failed', 'Queue «q» is full'],
    ]);
    await client.consume(q, 10);
    await client.publish('q', { id: 'later' });
    expect(client.results.at(-1)).toEqual(['later', 'confirmed']);
  });

  it('can have a bound of its own', async () => {
    const client = await Client.connect();
    await client.transport.declare({ ...q, native: { maxMessages: 1 } });
    await client.publish('q', ...numbered(2));
    expect(client.results.map(([, status]) => status)).toEqual(['confirmed', 'failed']);
  });

  it('delivers nothing after pause, stop or close, and what is out after stop can still be settled', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 2);
    client.send('q', { id: 'paused' });
    consumer.subscription.pause();
    await client.clock.advance(0);
    expect(consumer.ids).toEqual([]);
    consumer.subscription.resume();
    await client.clock.advance(0);
    expect(consumer.ids).toEqual(['paused']);
    client.send('q', { id: 'stopped' });
    void consumer.subscription.stop();
    await client.clock.advance(0);
    await consumer.subscription.stop();
    expect(consumer.ids).toEqual(['paused']);
    expect(consumer.subscription.consuming).toBe(false);
    consumer.deliveries[0].ack();
    await client.transport.close();
    expect(client.broker.queues()).toEqual([{ name: 'q', ready: 1, unsettled: 0, consumers: 0 }]);
    expect(consumer.states).toEqual([[true], [false, 'stopped']]);
  });

  it('gives the event loop its turns while a handler feeds itself', async () => {
    const client = await Client.connect();
    let handled = 0;
    await client.consume(q, 10, (delivery) => {
      delivery.ack();
      if (handled++ < 1_000_000) client.send('q', { id: 'again' });
    });
    client.send('q', { id: 'first' });
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(handled).toBeLessThan(10_000);
    await client.transport.close();
  });
});

describe('what queues are made of', () => {
  it('a Fifo keeps the order over many pushes and shifts', () => {
    const fifo = new Fifo<number>();
    let next = 0;
    for (let i = 0; i < 10_000; i++) {
      fifo.push(i);
      if (i % 3 === 0) expect(fifo.shift()).toBe(next++);
    }
    expect(fifo.size).toBe(10_000 - next);
    expect(fifo.peek()).toBe(next);
    for (; next < 10_000; next++) expect(fifo.shift()).toBe(next);
    expect(fifo.shift()).toBeUndefined();
    fifo.push(1);
    expect(fifo.takeAll()).toEqual([1]);
    expect(fifo.size).toBe(0);
  });

  it('a MinHeap gives the smallest first', () => {
    const heap = new MinHeap<number>((a, b) => a < b);
    const numbers = Array.from({ length: 500 }, (_, at) => (at * 7_919) % 503);
    for (const number of numbers) heap.push(number);
    const out = numbers.map(() => heap.pop()!);
    expect(out).toEqual([...numbers].sort((a, b) => a - b));
    expect(heap.pop()).toBeUndefined();
  });
});
