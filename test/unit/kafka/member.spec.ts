import { describe, expect, it } from '@jest/globals';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { LogPlaces, MemberHandlers } from '../../../lib/transports/kafka/client-port.js';
import { KafkajsMember } from '../../../lib/transports/kafka/kafkajs-member.js';
import type { Sockets } from '../../../lib/transports/kafka/sockets.js';

/** A member, what kafkajs does with it, and how low each chunk of a log could have begun. */
async function started() {
  let batch!: (payload: EachBatchPayload) => Promise<void>;
  const listeners = new Map<string, (event: object) => void>();
  const tell = (name: string, payload = {}): void => listeners.get(name)!({ payload });
  const asked: string[] = [];
  const ask = (what: string) => () => {
    if (script.hasNoGroup) throw new Error('Consumer group was not initialized, consumer#run must be called first');
    asked.push(what);
  };
  const consumer = {
    events: {
      GROUP_JOIN: 'join',
      CRASH: 'crash',
      HEARTBEAT: 'heartbeat',
      FETCH_START: 'fetch',
      REBALANCING: 'rebalancing',
      STOP: 'stop',
    },
    on: (name: string, listener: (event: object) => void) => void listeners.set(name, listener),
    seek: ask('seek'),
    pause: ask('pause'),
    resume: ask('resume'),
    connect: async () => {},
    subscribe: async () => {},
    run: async (options: { eachBatch: typeof batch }) => void (batch = options.eachBatch),
    disconnect: () => new Promise(() => {}),
  } as unknown as Consumer;
  const lowest: (number | undefined)[] = [];
  const [reasons, left]: string[][] = [[], []];
  const clock = new ManualClock();
  const script: { wait?: Promise<void>; refusal?: Error; hasNoGroup?: boolean } = {};
  const handlers: MemberHandlers = {
    assigned: () => {},
    records(_from, _records, _next, log?: LogPlaces) {
      lowest.push(log?.lowest);
      return script.wait;
    },
    ended: (reason) => void reasons.push(reason),
  };
  const sockets = { destroy: () => {} } as Sockets;
  const member = new KafkajsMember(consumer, sockets, clock, handlers, async (id) => void left.push(id));
  await member.start(['events']);
  const rebalance = (): void => tell('join', { memberId: 'm', memberAssignment: { events: [0] } });
  const read = (from: number, to: number, heartbeat = async (): Promise<void> => {}): Promise<void> => {
    const messages = Array.from({ length: to - from }, (_, at) => ({ offset: String(from + at), timestamp: '0' }));
    const log = { topic: 'events', partition: 0, messages, highWatermark: '99', lastOffset: () => String(to - 1) };
    const commitOffsetsIfNecessary = async (): Promise<void> => {
      if (script.refusal) throw script.refusal;
    };
    return batch({ batch: log, heartbeat, commitOffsetsIfNecessary } as unknown as EachBatchPayload);
  };
  const heartbeat = (): void => tell('heartbeat');
  rebalance();
  return { member, lowest, reasons, left, rebalance, read, tell, asked, heartbeat, clock, script };
}

describe('how low kafkajs begins again in the log that it has read', () => {
  it('is what it has read, and after a rebalance what is committed', async () => {
    const { member, lowest, rebalance, read } = await started();
    await read(3, 8);
    await read(8, 9);
    await member.commit([{ topic: 'events', partition: 0, offset: 5 }]);
    rebalance();
    await read(5, 9);
    await read(9, 10);
    expect(lowest).toEqual([undefined, 8, 5, 9]);
  });

  it('is what was committed before it joined, and not what was while it was told its places', async () => {
    const { member, lowest, rebalance, read } = await started();
    const commit = (offset: number): Promise<void> => member.commit([{ topic: 'events', partition: 0, offset }]);
    await read(0, 8);
    await commit(5);
    rebalance();
    await commit(8);
    await read(5, 9);
    expect(lowest).toEqual([undefined, 5]);
  });

  it('is what it read last, as long as its heartbeat had no answer', async () => {
    const { lowest, read } = await started();
    await read(0, 4);
    await read(4, 8, () => Promise.reject(new Error('lost'))).catch(() => {});
    await read(4, 8);
    await read(8, 9);
    expect(lowest).toEqual([undefined, 4, 4, 8]);
  });
});

describe('a member whose group is rebalanced', () => {
  it('joins again where it asked to and was never told its partitions, although it is in good standing', async () => {
    const { member, rebalance, heartbeat } = await started();
    heartbeat();
    member.joins();
    expect(heartbeat).toThrow(expect.objectContaining({ type: 'REBALANCE_IN_PROGRESS' }));
    rebalance();
    heartbeat();
  });

  it('does not let kafkajs go on behind what it was handed before', async () => {
    const { script, rebalance, read } = await started();
    let go!: () => void;
    script.wait = new Promise((resolve) => (go = resolve));
    const reading = read(0, 4);
    rebalance();
    go();
    await expect(reading).rejects.toMatchObject({ type: 'REBALANCE_IN_PROGRESS' });
  });

  it('takes nothing that one broker answers after it joined on the word of another, until it has joined again', async () => {
    const { lowest, tell, rebalance, read, heartbeat } = await started();
    const again = { type: 'REBALANCE_IN_PROGRESS' };
    tell('fetch', { nodeId: '1' });
    tell('fetch', { nodeId: '2' });
    rebalance();
    await expect(read(7, 9)).rejects.toMatchObject(again);
    tell('fetch', { nodeId: '1' });
    expect(heartbeat).toThrow(expect.objectContaining(again));
    tell('rebalancing');
    rebalance();
    await read(3, 9);
    heartbeat();
    expect(lowest).toHaveLength(1);
  });

  it('goes on at once where it has joined on the word of the only broker that is read from', async () => {
    const { lowest, tell, rebalance, read, heartbeat } = await started();
    tell('fetch', { nodeId: '1' });
    rebalance();
    await read(0, 4);
    heartbeat();
    expect(lowest).toHaveLength(1);
  });

  it('reads again what could not be handed over', async () => {
    const { script, read } = await started();
    script.wait = Promise.reject(new Error('no room'));
    await expect(read(0, 4)).rejects.toMatchObject({ type: 'REBALANCE_IN_PROGRESS' });
  });

  it('does not write what was refused again by itself: the partition may be of another by then', async () => {
    const { member, script, read } = await started();
    await read(0, 4);
    script.refusal = new Error('The coordinator is not aware of this generation');
    await expect(member.commit([{ topic: 'events', partition: 0, offset: 4 }])).rejects.toBe(script.refusal);
  });

  it('is out of it soon when it leaves, also where kafkajs waits until all others have joined', async () => {
    const { member, left, clock } = await started();
    const leaving = member.leave();
    await clock.advance(2_900);
    expect(left).toEqual([]);
    await clock.advance(200);
    await leaving;
    expect(left).toEqual(['m']);
  });

  it('does not wait for room when it leaves', async () => {
    const { member, script, read, clock } = await started();
    script.wait = new Promise(() => {});
    const reading = read(0, 4);
    void member.leave();
    await clock.advance(500);
    await reading;
  });
});

it.each(['crashes', 'is leaving'])('asks kafkajs for nothing while it %s: it would throw', async (how) => {
  const { member, asked, script, tell } = await started();
  const place = { topic: 'events', partition: 0, offset: 4 };
  const all = (): void => {
    member.hold(place);
    member.holdAt(place);
    member.resume(place);
  };
  all();
  expect(asked).toEqual(['pause', 'seek', 'pause', 'resume']);
  if (how === 'crashes') tell('stop');
  else void member.leave();
  script.hasNoGroup = true;
  all();
  expect(asked).toHaveLength(4);
});

it('a topic whose records kafkajs has no codec for is a reason that says what to do', async () => {
  const { tell, reasons } = await started();
  tell('crash', { error: Object.assign(new Error('ZSTD is missing'), { name: 'KafkaJSNotImplemented' }) });
  expect(reasons).toEqual([
    expect.stringMatching(/without a codec: ZSTD is missing\. Register one \(CompressionCodecs/),
  ]);
});
