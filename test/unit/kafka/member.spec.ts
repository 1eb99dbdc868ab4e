import { describe, expect, it } from '@jest/globals';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { LogPlaces } from '../../../lib/transports/kafka/client-port.js';
import { KafkajsMember } from '../../../lib/transports/kafka/kafkajs-member.js';
import type { Sockets } from '../../../lib/transports/kafka/sockets.js';

/** A member, what kafkajs does with it, and how low each chunk of a log could have begun. */
async function started() {
  let batch!: (payload: EachBatchPayload) => Promise<void>;
  let join!: (event: object) => void;
  let crash!: (event: object) => void;
  const consumer = {
    events: { GROUP_JOIN: 'join', CRASH: 'crash' },
    on: (name: string, listener: typeof join) => void (name === 'join' ? (join = listener) : (crash = listener)),
    connect: async () => {},
    subscribe: async () => {},
    run: async (options: { eachBatch: typeof batch }) => void (batch = options.eachBatch),
    commitOffsets: async () => {},
  } as unknown as Consumer;
  const lowest: (number | undefined)[] = [];
  const reasons: string[] = [];
  const member = new KafkajsMember(consumer, {} as Sockets, new ManualClock(), {
    assigned: () => {},
    records: (_from, _records, _next, log?: LogPlaces) => void lowest.push(log?.lowest),
    ended: (reason) => void reasons.push(reason),
  });
  await member.start(['events']);
  const rebalance = (): void => join({ payload: { memberId: 'm', memberAssignment: { events: [0] } } });
  const read = (from: number, to: number, heartbeat = async (): Promise<void> => {}): Promise<void> => {
    const messages = Array.from({ length: to - from }, (_, at) => ({ offset: String(from + at), timestamp: '0' }));
    const log = { topic: 'events', partition: 0, messages, highWatermark: '99', lastOffset: () => String(to - 1) };
    return batch({ batch: log, heartbeat } as unknown as EachBatchPayload);
  };
  rebalance();
  return { member, lowest, reasons, rebalance, read, crash };
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

  it('is what it read last, as long as its heartbeat had no answer', async () => {
    const { lowest, read } = await started();
    await read(0, 4);
    await read(4, 8, () => Promise.reject(new Error('lost'))).catch(() => {});
    await read(4, 8);
    await read(8, 9);
    expect(lowest).toEqual([undefined, 4, 4, 8]);
  });
});

it('a topic whose records kafkajs has no codec for is a reason that says what to do', async () => {
  const { crash, reasons } = await started();
  crash({ payload: { error: Object.assign(new Error('ZSTD is missing'), { name: 'KafkaJSNotImplemented' }) } });
  expect(reasons).toEqual([
    expect.stringMatching(/without a codec: ZSTD is missing\. Register one \(CompressionCodecs/),
  ]);
});
