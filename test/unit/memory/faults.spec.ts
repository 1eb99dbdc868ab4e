import { describe, expect, it } from '@jest/globals';
import { NotConnectedError, PublishFailedError } from '../../../lib/errors/publish-errors.js';
import { type PublishResult } from '../../../lib/transport/outgoing.js';
import { MemoryBroker } from '../../../lib/transports/memory/memory-broker.js';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Client, numbered, outgoing, topology } from './client.js';

const q = topology('q');
const statuses = ({ results }: Client): string[] => results.map(([id, status]) => `${id} ${status}`);

describe('a lost connection', () => {
  it('takes unsettled deliveries away, and brings them again after the reconnect', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 2);
    await client.publish('q', ...numbered(3));
    client.broker.faults.disconnect('cable cut');
    expect(consumer.lost).toEqual(consumer.deliveries);
    for (const delivery of consumer.lost) delivery.ack();
    expect(client.events).toEqual(['connected', 'disconnected: cable cut']);
    expect([consumer.subscription.consuming, consumer.states.at(-1)]).toEqual([false, [false, 'cable cut']]);
    await client.clock.advance(99);
    expect(consumer.ids).toEqual(['0', '1']);
    await client.clock.advance(1);
    expect(client.events.at(-1)).toBe('connected');
    expect(consumer.ids).toEqual(['0', '1', '0', '1']);
    expect(consumer.deliveries.map(({ deliveryCount }) => deliveryCount)).toEqual([0, 0, 1, 1]);
    expect(consumer.states).toEqual([[true], [false, 'cable cut'], [true]]);
    expect(client.broker.faults.hits.disconnected).toBe(1);
  });

  it('fails what is in flight and what is published meanwhile, later and in order', async () => {
    const client = await Client.connect();
    await client.transport.declare(q);
    client.send('q', ...numbered(2));
    client.broker.faults.disconnect();
    client.send('q', { id: '2' });
    expect(client.results).toEqual([]);
    await client.clock.advance(0);
    expect(statuses(client)).toEqual(['0 failed', '1 failed', '2 failed']);
    await expect(client.transport.probe()).rejects.toThrow(NotConnectedError);
    await expect(client.transport.queues!.depth('q')).rejects.toThrow(NotConnectedError);
    await expect(client.transport.queues!.browse('q')).rejects.toThrow(NotConnectedError);
    await client.clock.advance(100);
    await client.transport.probe();
    expect(await client.transport.queues!.depth('q')).toBe(2);
  });

  it('is tried again with doubled, varied and bounded waits', async () => {
    let random = 0;
    const client = await Client.connect(undefined, undefined, { random: () => random });
    const { faults } = client.broker;
    faults.refuse('nobody there');
    faults.disconnect();
    const waits: number[] = [];
    for (let attempt = 0, before = client.clock.monotonic(); attempt < 6; attempt++) {
      if (attempt === 3) random = 0.5;
      await client.clock.advanceToNext();
      waits.push(client.clock.monotonic() - before);
      before = client.clock.monotonic();
    }
    // The wait after an attempt is chosen when that attempt has failed.
    expect(waits).toEqual([80, 160, 320, 640, 1_000, 1_000]);
    expect(faults.hits.refused).toBe(6);
    expect(client.events).toEqual(['connected', 'disconnected: connection reset']);
    faults.accept();
    await client.clock.advance(1_000);
    expect(client.events.at(-1)).toBe('connected');
    faults.disconnect();
    await client.clock.advance(100);
    expect(client.events.at(-1)).toBe('connected');
  });

  it('at the start lets everything be declared, and makes it once there is a connection', async () => {
    const broker = new MemoryBroker();
    broker.faults.refuse('not started yet');
    const client = await Client.connect(broker);
    const consumer = await client.consume(q);
    expect([consumer.subscription.consuming, consumer.states]).toEqual([false, []]);
    await client.publish('q', { id: 'early' });
    expect(client.events).toEqual(['disconnected: not started yet']);
    broker.faults.accept();
    await client.clock.advance(100);
    await client.publish('q', { id: 'later' });
    expect(statuses(client)).toEqual(['early failed', 'later confirmed']);
    expect(consumer.ids).toEqual(['later']);
    expect(consumer.states).toEqual([[true]]);
  });

  it('leaves a stopped subscription stopped and still takes back what it held', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 1);
    await client.publish('q', ...numbered(2));
    await consumer.subscription.stop();
    client.broker.faults.disconnect();
    expect(consumer.lost).toHaveLength(1);
    await client.clock.advance(5_000);
    expect(consumer.ids).toEqual(['0']);
    expect(await client.transport.queues!.depth('q')).toBe(2);
  });

  it('in the middle of a reconnect is just another one', async () => {
    const client = await Client.connect();
    const { faults } = client.broker;
    let falls = 3;
    await client.transport.declare(q);
    const states: boolean[] = [];
    const handlers = {
      delivery() {},
      lost() {},
      state(consuming: boolean) {
        states.push(consuming);
        if (consuming && falls-- > 0) faults.disconnect();
      },
    };
    const subscription = await client.transport.subscribe({ topology: q, prefetch: 1 }, handlers);
    expect(subscription.consuming).toBe(false);
    const other = await client.consume(topology('other'));
    await client.clock.advance(1_000);
    expect(other.states).toEqual([[true]]);
    expect(states).toEqual([true, false, true, false, true, false, true]);
    const fall = 'disconnected: connection reset';
    expect(client.events).toEqual(['connected', fall, fall, fall, 'connected']);
    expect(subscription.consuming).toBe(true);
    await client.publish('q', { id: 'after' });
    expect(statuses(client)).toEqual(['after confirmed']);
    expect(client.broker.queues().map(({ consumers }) => consumers)).toEqual([1, 1]);
  });

  it('that took the queue with it is survived: the consumer waits for the queue', async () => {
    const operator = await Client.connect();
    await operator.transport.declare(q);
    const client = await Client.connect(operator.broker, operator.clock, { provision: false });
    const consumer = await client.consume(q);
    operator.broker.faults.disconnect();
    operator.broker.faults.deleteQueue('q');
    await operator.transport.close();
    await client.clock.advance(100);
    expect(client.events.slice(-3, -1)).toEqual([
      'warning: Missing on the broker: queue «q». Create it, or let it be created with `provision: true`.',
      'warning: Queue «q» cannot be consumed yet: There is no queue «q» to consume from. Declare it first.',
    ]);
    expect(client.events.at(-1)).toBe('connected');
    const heir = await Client.connect(operator.broker, operator.clock);
    await heir.transport.declare(q);
    await client.clock.advance(1_000);
    await heir.publish('q', { id: 'new' });
    expect(consumer.ids).toEqual(['new']);
  });

  it('harms the clients of the same broker alike, and each comes back', async () => {
    const [broker, clock] = [new MemoryBroker(), new ManualClock()];
    const clients = [await Client.connect(broker, clock), await Client.connect(broker, clock)];
    broker.faults.disconnect();
    expect(broker.faults.hits.disconnected).toBe(2);
    await clock.advance(100);
    expect(clients.map(({ events }) => events.at(-1))).toEqual(['connected', 'connected']);
  });
});

describe('a blocking broker', () => {
  it('holds publishes until it goes on, and lets consumers work', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q);
    await client.publish('q', { id: 'before' });
    client.broker.faults.block(true, 'disk full');
    consumer.deliveries[0].ack();
    await client.publish('q', ...numbered(3));
    await client.clock.advance(60_000);
    expect(statuses(client)).toEqual(['before confirmed']);
    expect(client.broker.queues()).toEqual([{ name: 'q', ready: 0, unsettled: 0, consumers: 1 }]);
    client.broker.faults.block(false);
    await client.clock.advance(0);
    expect(statuses(client).slice(1)).toEqual(['0 confirmed', '1 confirmed', '2 confirmed']);
    expect(consumer.ids).toEqual(['before', '0', '1', '2']);
    expect(client.events).toEqual(['connected', 'blocked: disk full', 'unblocked']);
  });

  it('is noticed by who connects meanwhile; a disconnect fails what is held', async () => {
    const broker = new MemoryBroker();
    broker.faults.block(true);
    const client = await Client.connect(broker);
    expect(client.events).toEqual(['connected', 'blocked: low on memory']);
    await client.publish('q', { id: 'held' });
    broker.faults.disconnect();
    await client.clock.advance(0);
    expect(statuses(client)).toEqual(['held failed']);
  });

  it('that goes on while a client is away takes what the client publishes after its return', async () => {
    const client = await Client.connect();
    await client.transport.declare(q);
    client.broker.faults.block(true);
    client.broker.faults.disconnect();
    client.broker.faults.block(false);
    await client.clock.advance(100);
    await client.publish('q', { id: 'a' });
    expect(statuses(client)).toEqual(['a confirmed']);
  });

  it('does not let the time for a confirm run meanwhile', async () => {
    const client = await Client.connect();
    await client.transport.declare(q);
    client.broker.faults.dropConfirms(true);
    await client.publish('q', { id: 'a' });
    await client.clock.advance(9_000);
    client.broker.faults.block(true);
    await client.clock.advance(60_000);
    client.broker.faults.block(false);
    await client.clock.advance(9_999);
    expect(statuses(client)).toEqual([]);
    await client.clock.advance(1);
    expect(statuses(client)).toEqual(['a failed']);
  });
});

describe('a confirm that never comes', () => {
  it('closes the channel after confirmTimeout: all in flight on it fail, on one timer', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q);
    client.broker.faults.dropConfirms(true);
    await client.publish('q', ...numbered(2));
    const timers = client.clock.pending;
    await client.clock.advance(6_000);
    await client.publish('q', { id: '2' });
    expect(client.clock.pending).toBe(timers);
    await client.clock.advance(3_999);
    expect(statuses(client)).toEqual([]);
    await client.clock.advance(1);
    expect(statuses(client)).toEqual(['0 failed', '1 failed', '2 failed']);
    expect(consumer.ids).toEqual(['0', '1', '2']);
    expect(client.events.at(-1)).toMatch(/^warning: No confirm within 10000 ms/);
    expect(client.broker.faults.hits.unconfirmed).toBe(3);
    client.broker.faults.dropConfirms(false);
    await client.publish('q', { id: '3' });
    expect(statuses(client).at(-1)).toBe('3 confirmed');
    expect(client.clock.pending).toBe(timers - 1);
  });

  it('fails in the order of publishing when the connection ends, between others that were answered', async () => {
    const client = await Client.connect();
    await client.transport.declare(q);
    client.broker.faults.dropConfirms(true);
    client.send('q', { id: '0' });
    client.broker.faults.dropConfirms(false);
    client.send('q', { id: '1' });
    client.broker.faults.block(true);
    client.send('q', { id: '2' });
    client.broker.faults.disconnect();
    await client.clock.advance(0);
    expect(statuses(client)).toEqual(['0 failed', '1 failed', '2 failed']);
  });

  it('of a publish that vanished means that it was not stored', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q);
    client.broker.faults.dropPublishes(true);
    await client.publish('q', { id: 'a' });
    client.broker.faults.dropPublishes(false);
    await client.clock.advance(10_000);
    expect(statuses(client)).toEqual(['a failed']);
    expect([consumer.ids, client.broker.faults.hits.vanished]).toEqual([[], 1]);
  });
});

describe('a nack', () => {
  it('comes for the next n publishes, and nothing of them is stored', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q);
    client.broker.faults.nackNext(2);
    await client.publish('q', ...numbered(3));
    expect(statuses(client)).toEqual(['0 failed', '1 failed', '2 confirmed']);
    expect([consumer.ids, client.broker.faults.hits.nacked]).toEqual([['2'], 2]);
  });

  it('comes for the destinations meant until it is set back', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('q', ['q'], { deadLetter: { queue: 'dlq', route: 'dead' } }));
    const results: PublishResult[] = [];
    const dead = outgoing({ kind: 'dead-letter', route: 'dead' }, {});
    client.broker.faults.nack((to) => to.kind === 'dead-letter');
    client.transport.publish([dead], (_, result) => results.push(result));
    await client.publish('q', { id: 'ordinary' });
    client.broker.faults.clear();
    client.transport.publish([dead], (_, result) => results.push(result));
    await client.clock.advance(0);
    expect(results.map(({ status }) => status)).toEqual(['failed', 'confirmed']);
    expect(results[0]).toHaveProperty('error', expect.any(PublishFailedError));
    expect(statuses(client)).toEqual(['ordinary confirmed']);
  });
});

describe('a cancelled consumer', () => {
  it('comes back after a while, keeps what it holds and its prefetch', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 2);
    await client.publish('q', ...numbered(4));
    client.broker.faults.cancel('q', 'failover');
    expect(consumer.states).toEqual([[true], [false, 'failover']]);
    consumer.deliveries[0].ack();
    await client.clock.advance(99);
    expect(consumer.ids).toEqual(['0', '1']);
    await client.clock.advance(1);
    expect(consumer.ids).toEqual(['0', '1', '2']);
    expect(consumer.states.at(-1)).toEqual([true]);
    expect([consumer.lost, client.broker.faults.hits.cancelled]).toEqual([[], 1]);
    client.broker.faults.cancel('q');
    await client.clock.advance(100);
    expect(consumer.states.at(-1)).toEqual([true]);
  });

  it('does not come back once it is stopped', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q);
    client.broker.faults.cancel('q');
    await consumer.subscription.stop();
    await client.clock.advance(10_000);
    expect([consumer.subscription.consuming, client.clock.pending]).toEqual([false, 0]);
  });
});

describe('a deleted queue', () => {
  it('is made again with its bindings and consumed', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 1);
    await client.publish('q', ...numbered(3));
    client.broker.faults.deleteQueue('q');
    expect(consumer.states.at(-1)).toEqual([false, 'queue «q» was deleted']);
    consumer.deliveries[0].release();
    await client.publish('q', { id: 'homeless' });
    expect(statuses(client).at(-1)).toBe('homeless unroutable');
    await client.clock.advance(100);
    await client.publish('q', { id: 'new' });
    expect(consumer.ids).toEqual(['0', 'new']);
  });

  it('that took dead letters is missed by the next one', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('q', ['q'], { deadLetter: { queue: 'dlq', route: 'dead' } }));
    client.broker.faults.deleteQueue('dlq');
    await client.publish({ kind: 'dead-letter', route: 'dead' }, { id: 'a' });
    expect(statuses(client)).toEqual(['a unroutable']);
  });

  it('is waited for, for ever, where nothing may be created', async () => {
    const operator = await Client.connect();
    await operator.transport.declare(q);
    const client = await Client.connect(operator.broker, operator.clock, { provision: false });
    const consumer = await client.consume(q);
    operator.broker.faults.deleteQueue('q');
    await client.clock.advance(60_000);
    expect(client.events.at(-1)).toMatch(/^warning: Queue «q» cannot be consumed yet: Missing on the broker/);
    await operator.transport.declare(q);
    await client.clock.advance(1_000);
    await client.publish('q', { id: 'new' });
    expect(consumer.ids).toEqual(['new']);
  });
});

describe('close', () => {
  it('fails what is unconfirmed, gives back what is unsettled, leaves no timer, and can be repeated', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(q, 1);
    await client.publish('q', ...numbered(2));
    client.broker.faults.dropConfirms(true);
    client.send('q', { id: 'unconfirmed' });
    await client.transport.close();
    await client.transport.close();
    await client.clock.advance(0);
    expect(statuses(client).at(-1)).toBe('unconfirmed failed');
    expect(consumer.lost).toHaveLength(1);
    expect(client.broker.queues()).toEqual([{ name: 'q', ready: 3, unsettled: 0, consumers: 0 }]);
    expect([client.clock.pending, client.events]).toEqual([0, ['connected']]);
    await client.publish('q', { id: 'after' });
    expect(statuses(client).at(-1)).toBe('after failed');
    await expect(client.transport.declare(q)).rejects.toThrow(NotConnectedError);
    await expect(client.transport.probe()).rejects.toThrow(NotConnectedError);
  });

  it('ends the attempts to reconnect', async () => {
    const client = await Client.connect();
    client.broker.faults.refuse();
    client.broker.faults.disconnect();
    await client.transport.close();
    expect(client.clock.pending).toBe(0);
  });
});
