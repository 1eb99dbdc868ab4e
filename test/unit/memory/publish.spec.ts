import { describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from '../../../lib/errors/configuration-errors.js';
import { MessageTooLargeError } from '../../../lib/errors/publish-errors.js';
import { type Headers } from '../../../lib/message/headers.js';
import { type PublishResult } from '../../../lib/transport/outgoing.js';
import { memory } from '../../../lib/transports/memory/memory.js';
import { MemoryBroker } from '../../../lib/transports/memory/memory-broker.js';
import { Client, numbered, outgoing, topology } from './client.js';

const DAY = 86_400_000;

describe('a publish', () => {
  it('reaches every queue that is bound, once each', async () => {
    const client = await Client.connect();
    const one = await client.consume(topology('one', ['order.*', 'order.#', 'order.created']));
    const two = await client.consume(topology('two', ['#']));
    const other = await client.consume(topology('other', ['order.*'], { topic: 'elsewhere' }));
    await client.publish('order.created', { id: 'a' });
    await client.publish({ kind: 'route', topic: 'elsewhere', route: 'order.created' }, { id: 'b' });
    await client.publish({ kind: 'queue', queue: 'two' }, { id: 'c' });
    expect([one.ids, two.ids, other.ids]).toEqual([['a'], ['a', 'c'], ['b']]);
    expect(two.deliveries.map(({ direct, topic }) => [direct, topic])).toEqual([
      [false, 'events'],
      [true, undefined],
    ]);
  });

  it('to a dead-letter route reaches that queue only, whatever patterns there are', async () => {
    const client = await Client.connect();
    const all = await client.consume(topology('all', ['#', 'dead'], { deadLetter: { queue: 'dlq', route: 'dead' } }));
    await client.publish({ kind: 'dead-letter', route: 'dead' }, { id: 'a' });
    await client.publish({ kind: 'dead-letter', route: '#' }, { id: 'b' });
    expect(all.ids).toEqual([]);
    expect(await client.transport.queues!.depth('dlq')).toBe(1);
    expect(client.results.map(([id, status]) => [id, status])).toEqual([
      ['a', 'confirmed'],
      ['b', 'unroutable'],
    ]);
  });

  it('that no queue takes is unroutable when mandatory, else confirmed', async () => {
    const client = await Client.connect();
    await client.publish('nowhere', { id: 'a' }, { id: 'b', mandatory: false });
    await client.publish({ kind: 'queue', queue: 'none' }, { id: 'c' });
    expect(client.results).toEqual([
      ['a', 'unroutable', 'No queue is bound for route «nowhere» on «events»'],
      ['b', 'confirmed'],
      ['c', 'unroutable', 'There is no queue «none»'],
    ]);
  });

  it('too large is refused, by the broker or by the client', async () => {
    const broker = new MemoryBroker({ maxBytes: 10 });
    const client = await Client.connect(broker);
    const modest = await Client.connect(broker, client.clock, {}, { maxBytes: 5 });
    expect([client, modest].map(({ transport }) => transport.capabilities.maxBytes)).toEqual([10, 5]);
    await client.transport.declare(topology('q'));
    const results: PublishResult[] = [];
    for (const [{ transport }, size] of [
      [client, 10],
      [client, 11],
      [modest, 5],
      [modest, 6],
    ] as const) {
      const message = outgoing({ kind: 'route', route: 'q' }, { body: Buffer.alloc(size) });
      transport.publish([message], (_, result) => results.push(result));
      await client.clock.advance(0);
    }
    expect(results.map(({ status }) => status)).toEqual(['confirmed', 'refused', 'confirmed', 'refused']);
    expect(results[1]).toHaveProperty('error', expect.any(MessageTooLargeError));
  });

  it('shares no bytes and no headers with the application, before or after', async () => {
    const client = await Client.connect();
    const change = (body: Buffer, headers: Headers): void => {
      body.fill(0);
      (headers.bytes as Uint8Array).fill(0);
      (headers.date as Date).setTime(0);
    };
    const body = Buffer.from('original');
    const headers = { bytes: Buffer.from('bytes'), date: new Date(DAY), list: ['a', { deep: Buffer.from('x') }] };
    const consumers = [await client.consume(topology('one', ['r'])), await client.consume(topology('two', ['r']))];
    client.send('r', { id: 'a', body, headers });
    change(body, headers);
    await client.clock.advance(0);
    const [first] = consumers[0].deliveries;
    change(first.message.body, first.message.headers);
    first.release();
    await client.clock.advance(0);
    expect(first.raw).not.toBe(first.message);
    for (const { message } of [consumers[0].deliveries[1], consumers[1].deliveries[0]]) {
      expect(message.body.toString()).toBe('original');
      expect(message.headers).toEqual({
        bytes: Buffer.from('bytes'),
        date: new Date(DAY),
        list: ['a', { deep: Buffer.from('x') }],
      });
      expect(Object.isFrozen(message) && Object.isFrozen(message.headers)).toBe(true);
    }
  });
});

describe('a delayed publish', () => {
  it('is confirmed at once and delivered when due, in the order of the due times', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(topology('q'));
    const now = client.clock.now();
    const equal = numbered(20).map(({ id }) => ({ id, dueAt: now + 1_000 }));
    const ids = equal.map(({ id }) => id);
    await client.publish('q', { id: 'late', dueAt: now + 2_000 }, ...equal);
    await client.publish('q', { id: 'past', dueAt: now - 1 });
    expect(client.results.map(([, status]) => status)).toEqual(Array(22).fill('confirmed'));
    expect([consumer.ids, client.broker.delayed]).toEqual([['past'], 21]);
    await client.clock.advance(999);
    expect(consumer.ids).toEqual(['past']);
    await client.clock.advance(1);
    expect(consumer.ids).toEqual(['past', ...ids]);
    await client.clock.advance(1_000);
    expect(consumer.ids).toEqual(['past', ...ids, 'late']);
  });

  it('needs one timer for all', async () => {
    const client = await Client.connect();
    await client.consume(topology('q'));
    const before = client.clock.timerCount;
    const now = client.clock.now();
    await client.publish('q', ...numbered(1_000).map(({ id }) => ({ id, dueAt: now + 5_000 - Number(id) })));
    expect(client.clock.timerCount).toBe(before + 1);
    await client.clock.advance(5_000);
    expect(client.broker.delayed).toBe(0);
    expect(client.clock.timerCount).toBe(before);
  });

  it('longer than 2^32 - 1 ms is refused', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('q'));
    const { maxDelayMs } = client.transport.capabilities;
    const now = client.clock.now();
    await client.publish('q', { id: 'a', dueAt: now + maxDelayMs }, { id: 'b', dueAt: now + maxDelayMs + 1 });
    expect(client.results.map(([, status]) => status)).toEqual(['confirmed', 'refused']);
  });

  it('that no queue takes when due is kept, counted, and delivered once there is a binding', async () => {
    const client = await Client.connect();
    await client.publish('q', { id: 'a', dueAt: client.clock.now() + 10, mandatory: true });
    await client.clock.advance(10);
    expect(client.broker.undeliverable).toBe(1);
    await client.consume(topology('other'));
    expect(client.broker.undeliverable).toBe(1);
    const consumer = await client.consume(topology('q'));
    expect(consumer.ids).toEqual(['a']);
    expect(client.broker.undeliverable).toBe(0);
  });

  it('to a queue that is full when due comes later, and only to that queue', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('small', ['r'], { native: { maxMessages: 1 } }));
    const large = await client.consume(topology('large', ['r']));
    const now = client.clock.now();
    await client.publish('r', ...numbered(2).map(({ id }) => ({ id, dueAt: now + 10 })));
    await client.clock.advance(10);
    expect(large.ids).toEqual(['0', '1']);
    const small = await client.consume(topology('small', ['r'], { native: { maxMessages: 1 } }));
    await client.clock.advance(1_000);
    expect([small.ids, large.ids]).toEqual([
      ['0', '1'],
      ['0', '1'],
    ]);
  });
});

describe('the options', () => {
  it.each([
    [{ maxMessages: 0 }, 'maxMessages'],
    [{ maxBytes: 1.5 }, 'maxBytes'],
    [{ topic: '' }, 'topic'],
    [{ broker: {} }, 'broker'],
    [{ prefetch: 1 }, 'prefetch'],
    [{ broker: new MemoryBroker(), maxMessages: 1 }, 'maxMessages'],
    [{ broker: new MemoryBroker({ maxBytes: 1 }), maxBytes: 2 }, 'maxBytes'],
  ])('%p are refused, and the error names %s', (options, option) => {
    expect(() => memory(options as object)).toThrow(InvalidOptionError);
    expect(() => memory(options as object)).toThrow(`«${option}»`);
  });

  it('give each application a broker of its own unless one is shared', () => {
    const own = memory();
    expect(own.create().native()).not.toBe(own.create().native());
    const broker = new MemoryBroker();
    const shared = memory({ broker });
    expect([shared.create().native(), shared.create().native()]).toEqual([broker, broker]);
    expect(shared.system).toBe('memory');
  });
});
