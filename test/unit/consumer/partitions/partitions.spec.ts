import { describe, expect, test } from '@jest/globals';
import { partitionOf } from '../../../../lib/consumer/schedule/key-hash.js';
import { LaneSchedule } from '../../../../lib/consumer/schedule/lane-schedule.js';
import { bounded } from '../../../../lib/consumer/schedule/concurrency.js';
import { partitioned } from '../../../../lib/consumer/schedule/partitioned.js';
import { InvalidOptionError } from '../../../../lib/errors/configuration-errors.js';
import { splitOf } from '../../../../lib/transports/rabbitmq/options.js';
import { type Application, start } from '../../support/application.js';
import {
  type FakeDelivery,
  type FakeSubscription,
  confirmed,
  failed,
  refused,
  unroutable,
} from '../../support/fake-transport.js';
import { keyed, PartitionBroker, PartitionTransport } from '../../support/partition-broker.js';

const QUEUE = 'orders:order.created:queue';

interface Process {
  readonly app: Application;
  readonly transport: PartitionTransport;
}

/** A process that shares the partitions of `broker`. */
async function join(broker: PartitionBroker, partitions: number): Promise<Process> {
  const transport = new PartitionTransport(broker);
  const app = await start({}, transport);
  await app.subscribe(() => undefined, { concurrency: partitioned(), rabbitmq: { partitions } });
  return { app, transport };
}

async function seconds(count: number, processes: readonly Process[]): Promise<void> {
  for (let second = 0; second < count; second++) for (const { app } of processes) await app.clock.advance(1_000);
}

const sizes = (processes: readonly Process[]): number[] => processes.map(({ transport }) => transport.owned.length);

describe('the share of a process', () => {
  test.each([
    [8, 2],
    [8, 3],
    [8, 5],
    [8, 7],
    [6, 4],
    [4, 6],
    [64, 5],
  ])(
    'of %i partitions is the same for each of %i processes, give or take one, whoever comes and goes',
    async (partitions, most) => {
      const broker = new PartitionBroker();
      let processes: Process[] = [];
      const settle = async (): Promise<void> => {
        await seconds(40, processes);
        const fair = Math.floor(partitions / processes.length);
        for (const size of sizes(processes)) expect([fair, fair + 1]).toContain(size);
        expect(broker.owners.size).toBe(partitions);
        const { moves } = broker;
        await seconds(20, processes);
        expect(broker.moves).toBe(moves);
      };
      for (let n = 0; n < most; n++) {
        processes.push(await join(broker, partitions));
        await settle();
      }
      while (processes.length > 1) {
        const [gone, ...others] = processes;
        processes = others;
        if (processes.length % 2 === 0) broker.kill(gone.transport);
        else await gone.app.messaging.stopIntake();
        await settle();
      }
    },
  );

  test('is taken at once by the only process, and by one that gets less than others within some seconds', async () => {
    const broker = new PartitionBroker();
    const one = await join(broker, 8);
    expect(sizes([one])).toEqual([8]);
    const other = await join(broker, 8);
    await seconds(3, [one, other]);
    expect(sizes([one, other])).toEqual([4, 4]);
    broker.kill(one.transport);
    await seconds(2, [other]);
    expect(sizes([other])).toEqual([8]);
  });

  test('does not move a partition that holds what came back before: a second time could look like a crash', async () => {
    const broker = new PartitionBroker();
    const one = await join(broker, 2);
    const consumers = one.transport.subscriptions.filter(({ options }) => options.topology.partitionOf !== undefined);
    one.app.messaging.pause('order.created');
    for (const consumer of consumers) consumer.deliver({ deliveryCount: 1, headers: { 'messaging-key': 'k' } });
    const other = await join(broker, 2);
    await seconds(10, [one, other]);
    expect(sizes([one, other])).toEqual([2, 0]);
    one.app.messaging.resume('order.created');
    await seconds(5, [one, other]);
    expect(sizes([one, other])).toEqual([1, 1]);
  });

  test('keeps what the process lost of a partition: one that it takes again brings no crash along', async () => {
    const broker = new PartitionBroker();
    const one = await join(broker, 2);
    const partition = (): FakeSubscription =>
      one.transport.subscriptions.filter(({ options }) => options.topology.queue === `${QUEUE}.0`).at(-1)!;
    const first = partition();
    const handled = one.app.record('settled');
    one.app.messaging.pause('order.created');
    first.lose(first.deliver({ ...keyed('m', 'k'), deliveryCount: 2 }));
    // Another had it meanwhile.
    one.app.messaging.resume('order.created');
    first.state(false, 'another process consumes it');
    await seconds(10, [one]);
    expect(partition()).not.toBe(first);
    partition().deliver({ ...keyed('m', 'k'), deliveryCount: 3 });
    await one.app.turn();
    expect(handled.map(({ outcome }) => outcome)).toEqual(['ack']);
  });

  test('grows by what a process leaves that is counted and takes nothing', async () => {
    const broker = new PartitionBroker();
    const one = await join(broker, 4);
    const [members] = broker.members.values();
    broker.members.set(new PartitionTransport(broker), members);
    await seconds(20, [one]);
    expect(sizes([one])).toEqual([4]);
    const { moves } = broker;
    await seconds(20, [one]);
    expect([sizes([one]), broker.moves]).toEqual([[4], moves]);
  });

  test('is waited for without a word while the broker is away, and what another has got meanwhile is left to it', async () => {
    const broker = new PartitionBroker();
    const one = await join(broker, 4);
    one.transport.down = true;
    broker.kill(one.transport);
    const consumers = one.transport.subscriptions.filter(({ options }) => options.topology.partitionOf !== undefined);
    for (const consumer of consumers) consumer.state(false, 'no connection');
    const other = await join(broker, 4);
    await seconds(5, [one, other]);
    expect(sizes([other])).toEqual([4]);
    one.transport.down = false;
    const members = one.transport.subscriptions.find(({ options }) => options.topology.membersOf !== undefined)!;
    broker.members.set(one.transport, members);
    for (const consumer of consumers) consumer.state(false, 'another process consumes it');
    await seconds(15, [one, other]);
    expect(sizes([one, other])).toEqual([2, 2]);
    expect(one.app.messaging.health().status).toBe('up');
  });
});

describe('a subscription with partitions', () => {
  test('that cannot begin leaves nothing behind', async () => {
    const transport = new PartitionTransport(new PartitionBroker());
    const app = await start({}, transport);
    transport.onSubscribe = async () => {
      if (transport.subscriptions.length > 0) throw new InvalidOptionError('x', 1, 'another');
    };
    const request = { concurrency: partitioned(), rabbitmq: { partitions: 2 } };
    await expect(app.subscribe(() => undefined, request)).rejects.toThrow(InvalidOptionError);
    expect(transport.subscriptions.map(({ options, stopped }) => [options.topology.queue, stopped])).toEqual([
      [QUEUE, 1],
    ]);
    expect(app.messaging.health().consumers).toEqual([]);
    expect(app.clock.timerCount).toBe(0);
  });

  test('with «distribute: false» handles what is in its partitions, and takes nothing from its queue', async () => {
    const transport = new PartitionTransport(new PartitionBroker());
    const app = await start({}, transport);
    await app.subscribe(() => undefined, {
      concurrency: partitioned(),
      rabbitmq: { partitions: 2, distribute: false },
    });
    expect(transport.subscriptions.map(({ options }) => options.topology.queue).sort()).toEqual([
      `${QUEUE}.0`,
      `${QUEUE}.1`,
      `${QUEUE}.members`,
    ]);
    expect(app.messaging.health()).toMatchObject({ status: 'up', consumers: [{ queue: `${QUEUE}.0` }, {}] });
  });

  test('says when processes cannot be counted, and takes what is free all the same after some time', async () => {
    const broker = new PartitionBroker();
    const one = await join(broker, 4);
    const members = one.transport.subscriptions.find(({ options }) => options.topology.membersOf !== undefined)!;
    members.state(false, 'forbidden');
    expect(one.app.messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ queue: QUEUE, reason: `«${QUEUE}.members»: forbidden` }, {}, {}, {}, {}],
    });
    for (const consumer of one.transport.subscriptions)
      if (consumer.options.topology.partitionOf) await consumer.stop();
    for (const consumer of one.transport.subscriptions)
      if (consumer.options.topology.partitionOf) consumer.state(false, 'gone');
    await seconds(40, [one]);
    expect(sizes([one])).toEqual([4]);
  });
});

describe('what is moved to partitions', () => {
  async function distributor(more: object = {}) {
    const transport = new PartitionTransport(new PartitionBroker());
    const app = await start({}, transport);
    await app.subscribe(() => undefined, { concurrency: partitioned(), rabbitmq: { partitions: 4 }, ...more });
    transport.answer = () => undefined;
    const subscription = transport.subscriptions.find(({ options }) => options.topology.partitions === 4)!;
    const deliver = (id: string, key: string): FakeDelivery => subscription.deliver(keyed(id, key));
    return { app, transport, subscription, deliver };
  }

  test('is one message of a key at a time, acked when its copy is confirmed; other keys go on', async () => {
    const { app, transport, deliver } = await distributor();
    const [a1, a2] = [deliver('a1', 'a'), deliver('a2', 'a')];
    deliver('b1', 'b');
    await app.turn();
    expect(transport.pendingIds).toEqual(['a1', 'b1']);
    expect(transport.batches.at(-1)).toHaveLength(2);
    transport.settle(confirmed, 'a1');
    expect([a1.settlements, a2.settlements]).toEqual([['ack'], []]);
    await app.turn();
    expect(transport.pendingIds).toEqual(['b1', 'a2']);
  });

  test('goes by the queue’s name, with what it was: nothing is lost of where it came from', async () => {
    const { app, transport, subscription } = await distributor();
    subscription.deliver({ ...keyed('a1', 'a'), topic: 'events', properties: { correlationId: 'c' } });
    await app.turn();
    expect(transport.last).toMatchObject({
      to: { kind: 'queue', queue: `${QUEUE}.${partitionOf('a', 4)}` },
      mandatory: true,
      message: {
        id: 'a1',
        route: 'order.created',
        properties: { correlationId: 'c' },
        headers: {
          'messaging-key': 'a',
          'messaging-attempt': 1,
          'messaging-origin-queue': QUEUE,
          'messaging-origin-route': 'order.created',
          'messaging-origin-topic': 'events',
        },
      },
    });
  });

  test('waits when it is refused for now, and is not overtaken by its key; health says so', async () => {
    const { app, transport, deliver } = await distributor();
    deliver('a1', 'a');
    deliver('a2', 'a');
    deliver('b1', 'b');
    await app.turn();
    transport.settle(failed('full'), 'a1');
    transport.settle(confirmed, 'b1');
    transport.settleAll(confirmed);
    await app.turn();
    expect(transport.pendingIds).toEqual([]);
    await app.clock.advance(499);
    expect(transport.pendingIds).toEqual([]);
    await app.clock.advance(1);
    expect(transport.pendingIds).toEqual(['a1']);
    transport.settle(failed('full'));
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ queue: QUEUE, inFlight: 2, reason: expect.stringContaining('full') as unknown }, {}, {}, {}, {}],
    });
    expect(app.logged('warn').filter((line) => line.includes('cannot be moved'))).toHaveLength(1);
    await app.clock.advance(1_000);
    transport.settle(confirmed, 'a1');
    await app.turn();
    expect(transport.pendingIds).toEqual(['a2']);
    expect(app.messaging.health().status).toBe('up');
  });

  test('waits until a partition that somebody deleted is there again, and declares nothing: its consumer does', async () => {
    const { app, transport, deliver } = await distributor();
    const a1 = deliver('a1', 'a');
    await app.turn();
    const before = transport.declared.length;
    transport.settle(unroutable());
    await app.clock.advance(500);
    transport.settle(confirmed, 'a1');
    expect(a1.settlements).toEqual(['ack']);
    expect(transport.declared).toHaveLength(before);
  });

  test('that no copy can be written of goes to the dead letters whole, and holds up nobody', async () => {
    const { app, transport, deliver } = await distributor();
    const a1 = deliver('a1', 'a');
    deliver('a2', 'a');
    await app.turn();
    transport.settle(refused('headers too large'), 'a1');
    await app.turn();
    expect(a1.settlements).toEqual(['reject']);
    expect(transport.pendingIds).toEqual(['a2']);
  });

  test('that no copy can be written of is rejected with dlq: false, and the log says who takes it then', async () => {
    const { app, transport, deliver } = await distributor({ dlq: false });
    const a1 = deliver('a1', 'a');
    await app.turn();
    transport.settle(refused('headers too large'), 'a1');
    expect(a1.settlements).toEqual(['reject']);
    expect(app.logged('error')).toEqual([
      expect.stringMatching(/it is rejected \(dlq: false\): headers too large\. A dead-letter exchange .* takes it/),
    ]);
  });

  test('that is lost with the channel comes again after the result of its first copy', async () => {
    const { app, transport, subscription, deliver } = await distributor();
    const [a1, a2] = [deliver('a1', 'a'), deliver('a2', 'a')];
    await app.turn();
    for (const delivery of [a1, a2]) subscription.lose(delivery);
    deliver('a1', 'a');
    deliver('a2', 'a');
    await app.turn();
    expect(transport.pendingIds).toEqual(['a1']);
    transport.settle(failed('connection lost'));
    await app.turn();
    expect(transport.pendingIds).toEqual(['a1']);
    transport.settle(confirmed);
    await app.turn();
    expect(transport.pendingIds).toEqual(['a2']);
    expect(app.clock.pending).toBe(0);
  });

  test('ends with the result of what is under way; the rest goes back together with the intake', async () => {
    const { app, transport, subscription, deliver } = await distributor();
    const [a1, a2] = [deliver('a1', 'a'), deliver('a2', 'a')];
    await app.turn();
    const stopped = app.messaging.stopIntake();
    await app.turn();
    expect(subscription.stopped).toBe(0);
    transport.settle(confirmed);
    await stopped;
    expect([subscription.stopped, a1.settlements, a2.settlements]).toEqual([1, ['ack'], []]);
    expect(transport.pendingIds).toEqual([]);
  });

  test('stops at the deadline though the broker does not answer', async () => {
    const { app, subscription, deliver } = await distributor();
    deliver('a1', 'a');
    await app.turn();
    const stopped = app.messaging.stopIntake();
    await app.clock.advance(10_000);
    await stopped;
    expect(subscription.stopped).toBe(1);
  });
});

describe('the partition of a key', () => {
  test('is the same in every process and release: messages wait by it', () => {
    expect(['a', 'account-7', 'ключ', ''].map((key) => partitionOf(key, 8))).toMatchInlineSnapshot(`
     [
       3,
       6,
       0,
       3,
     ]
    `);
  });

  test('is as likely as any other, and its keys use all lanes', () => {
    const keys = Array.from({ length: 8_000 }, (_, n) => `customer-${n}`);
    const byPartition = new Map<number, string[]>();
    for (const key of keys)
      byPartition.set(partitionOf(key, 8), [...(byPartition.get(partitionOf(key, 8)) ?? []), key]);
    for (const mine of byPartition.values()) {
      expect(mine.length).toBeGreaterThan(850);
      expect(mine.length).toBeLessThan(1_150);
      const schedule = new LaneSchedule<FakeDelivery>(8, ({ message }) => message.id);
      let running = 0;
      for (const id of mine) running += Number(schedule.admit({ message: { id } } as FakeDelivery));
      expect(running).toBe(8);
    }
  });
});

describe('partitions are refused at boot', () => {
  const native = { partitions: 8 };
  const define = async (options: object): Promise<unknown> => {
    const app = await start({}, new PartitionTransport(new PartitionBroker()));
    return app.subscribe(() => undefined, { rabbitmq: native, ...options }).catch((error: unknown) => error);
  };

  test.each([
    ['without a key', { concurrency: bounded(3) }, /partitioned\(\{ key \}\)/],
    ['with messages that pass each other', { concurrency: partitioned({ onFailure: 'pass' }) }, /«hold»/],
    ['with a queue name that leaves no room', { concurrency: partitioned(), queue: 'q'.repeat(250) }, /255 bytes/],
  ])('%s', async (_, options, remedy) => {
    const error = (await define(options)) as Error;
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.message).toMatch(remedy);
  });

  test.each([
    ['of a number that is none', { partitions: 1 }, /from 2 to 256/],
    ['on classic queues', { ...native, queueType: 'classic' }, /«quorum»/],
    ['without one active consumer', { ...native, singleActiveConsumer: false }, /left out beside «partitions»/],
    ['with priorities', { ...native, arguments: { 'x-max-priority': 5 } }, /left out beside «partitions»/],
    ['not at all, but distributed', { distribute: false }, /left out without «partitions»/],
  ])('%s', (_, options, remedy) => {
    expect(() => splitOf(options, { queueType: 'quorum' })).toThrow(InvalidOptionError);
    expect(() => splitOf(options, { queueType: 'quorum' })).toThrow(remedy);
  });
});
