import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import {
  ClientError,
  type GroupMember,
  type IncomingRecord,
  type KafkaLink,
  type MemberHandlers,
  type TopicPartitionOffset,
} from '../../../lib/transports/kafka/client-port.js';
import type { Intake } from '../../../lib/transports/kafka/intake.js';
import { GroupReader } from '../../../lib/transports/kafka/reader.js';
import { record } from './records.js';

const events = { topic: 'events', partition: 0 };
const queue = { topic: 'queue', partition: 0 };
const of = (from: { topic: string; partition: number }, ...offsets: number[]): IncomingRecord[] =>
  offsets.map((offset) => record(offset, from));

class ScriptedMember implements GroupMember {
  readonly commits: TopicPartitionOffset[][] = [];
  refusing = false;
  refusal = new Error('The group is rebalancing');
  left = 0;

  async commit(offsets: readonly TopicPartitionOffset[]): Promise<void> {
    if (this.refusing || this.refusal instanceof ClientError) throw this.refusal;
    this.commits.push([...offsets]);
  }

  readonly asked: string[] = [];

  holdAt(): void {}

  hold({ topic }: { topic: string }): void {
    this.asked.push(`hold ${topic}`);
  }

  resume({ topic }: { topic: string }): void {
    this.asked.push(`resume ${topic}`);
  }

  async leave(): Promise<void> {
    this.left++;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A reader, what the client has to tell it by, and who is told. */
async function joined() {
  const clock = new ManualClock();
  const member = new ScriptedMember();
  let handlers!: MemberHandlers;
  const client = {
    join: async (_: object, given: MemberHandlers) => {
      handlers = given;
      return member;
    },
  } as unknown as KafkaLink;
  const [told, warned]: string[][] = [[], []];
  const warn = (message: string): void => void warned.push(message);
  const there: TopicPartitionOffset[] = [];
  const placesIn = async (topic: string): Promise<TopicPartitionOffset[]> =>
    there.filter((place) => place.topic === topic);
  const options = { group: 'g', topics: ['events', 'queue'], clock, takes: () => true, prefetch: 10, warn, placesIn };
  const reader = await GroupReader.join(client, options);
  reader.attach({
    wake: () => {},
    revoked: ({ topic, partition }: Intake) => told.push(`revoked ${topic} ${partition}`),
    over: (reason) => told.push(`over ${reason}`),
  });
  return { clock, member, handlers, reader, told, warned, there };
}

describe('a member of a group', () => {
  it('hands over the oldest of all its partitions first', async () => {
    const { handlers, reader } = await joined();
    handlers.assigned([events, queue], true);
    await turn();
    void handlers.records(queue, of(queue, 2, 5), 6);
    void handlers.records(events, of(events, 1, 3, 4), 5);
    const order = Array.from({ length: 5 }, () => reader.next()!.record.timestamp);
    expect(order).toEqual([1, 2, 3, 4, 5]);
  });

  it.each(['by its shorter log', 'by a beginning that the client does not go back to', 'by whoever made it'])(
    'ends with a warning where a topic was deleted and made again: seen %s',
    async (how) => {
      const { handlers, reader, told, warned } = await joined();
      handlers.assigned([events, queue], true);
      await turn();
      void handlers.records(events, of(events, 7, 8), 9, { end: 9 });
      if (how === 'by its shorter log') void handlers.records(events, of(events, 0, 1), 2, { end: 2 });
      else if (how === 'by whoever made it') reader.madeAnew(['events']);
      else void handlers.records(events, of(events, 0, 1), 40, { end: 40, lowest: 9 });
      expect(told).toEqual(['over the topic «events» was deleted and made again']);
      expect(warned).toEqual([expect.stringContaining('deleted and made again')]);
    },
  );

  it('ends where its place was refused for a topic that is not there: it would be taken once that is made again', async () => {
    const { handlers, reader, member, told } = await joined();
    handlers.assigned([events, queue], true);
    await turn();
    void handlers.records(events, of(events, 7), 8);
    member.refusal = new ClientError('gone', 'UNKNOWN_TOPIC_OR_PARTITION');
    reader.settle(reader.next()!);
    await turn();
    expect(told).toEqual(['over the topic «events» was deleted and made again']);
  });

  it('finds by a look that a place which it has committed is gone, and by no other', async () => {
    const { handlers, reader, there, told } = await joined();
    handlers.assigned([events, queue], true);
    await turn();
    await reader.look();
    void handlers.records(events, of(events, 7), 8);
    reader.settle(reader.next()!);
    await turn();
    there.push({ ...events, offset: 8 });
    await reader.look();
    expect(told).toEqual([]);
    there.pop();
    await reader.look();
    expect(told).toEqual(['over the topic «events» was deleted and made again']);
  });

  it('hands over 500 of a partition behind one that is not settled, and goes on with the other partitions', async () => {
    const { handlers, reader, member } = await joined();
    handlers.assigned([events, queue], true);
    await turn();
    const many = Array.from({ length: 1_000 }, (_, offset) => offset);
    const full = handlers.records(events, of(events, ...many), 1_000);
    const first = reader.next()!;
    let handled = 1;
    for (let one = reader.next(); one; one = reader.next(), handled++) reader.settle(one);
    expect(handled).toBe(500);
    expect(member.asked).toEqual(['hold events']);
    await full;
    expect(handlers.records(queue, of(queue, 7), 8)).toBeUndefined();
    expect(reader.next()?.record.topic).toBe('queue');
    reader.giveBack(first);
    expect(reader.next()).toEqual(first);
    expect(reader.next()).toBeUndefined();
    reader.settle(first);
    expect(member.asked).toEqual(['hold events', 'resume events']);
    expect(reader.next()?.record.offset).toBe(500);
  });

  it('commits what is settled together, and keeps out what is behind the first that is not', async () => {
    const { clock, member, handlers, reader } = await joined();
    handlers.assigned([events, queue], true);
    await turn();
    void handlers.records(events, of(events, 0, 1, 2), 3);
    void handlers.records(queue, of(queue, 7), 8);
    const taken = Array.from({ length: 4 }, () => reader.next()!);
    for (const one of [taken[0], taken[2], taken[3]]) reader.settle(one);
    await clock.advance(50);
    expect(member.commits.flat().filter(({ offset }) => offset > 0)).toEqual([
      { ...events, offset: 1, metadata: 'nestjs-messaging:2:Ag==' },
      { ...queue, offset: 8 },
    ]);
    reader.settle(taken[1]);
    await clock.advance(50);
    expect(member.commits.at(-1)).toEqual([{ ...events, offset: 3 }]);
  });

  it('keeps what it holds of a partition that stays its own, and drops it of one that goes', async () => {
    const { clock, member, handlers, reader, told } = await joined();
    handlers.assigned([events, queue], true);
    await turn();
    void handlers.records(events, of(events, 0, 1), 2);
    void handlers.records(queue, of(queue, 0, 1), 2);
    const taken = Array.from({ length: 4 }, () => reader.next()!);
    handlers.assigned([events], false);
    await turn();
    expect(told).toEqual(['revoked queue 0']);
    // The client begins again at what is committed.
    void handlers.records(events, of(events, 0, 1, 2), 3);
    expect(reader.next()?.record.offset).toBe(2);
    for (const one of taken) reader.settle(one);
    await clock.advance(50);
    expect(member.commits.flat().every(({ topic }) => topic === 'events')).toBe(true);
    expect(member.commits.at(-1)).toEqual([{ ...events, offset: 2 }]);
    void handlers.records(queue, of(queue, 2), 3);
    expect(reader.next()).toBeUndefined();
  });

  it('drops everything when it was out of the group meanwhile', async () => {
    const { handlers, reader, told } = await joined();
    handlers.assigned([events], true);
    await turn();
    void handlers.records(events, of(events, 0, 1), 2);
    reader.next();
    handlers.assigned([events], true);
    await turn();
    expect(told).toEqual(['revoked events 0']);
    void handlers.records(events, of(events, 0), 1);
    expect(reader.next()?.record.offset).toBe(0);
  });

  it('commits again what was refused while the group was rebalanced', async () => {
    const { clock, member, handlers, reader } = await joined();
    handlers.assigned([events], true);
    await turn();
    void handlers.records(events, of(events, 0), 1);
    member.refusing = true;
    reader.settle(reader.next()!);
    await clock.advance(500);
    expect(member.commits).toEqual([]);
    member.refusing = false;
    await clock.advance(500);
    expect(member.commits).toEqual([[{ ...events, offset: 1 }]]);
  });

  it('lets the client wait while it has much, and read on when there is room', async () => {
    const { handlers, reader } = await joined();
    handlers.assigned([events], true);
    await turn();
    const many = Array.from({ length: 600 }, (_, offset) => offset);
    let readOn = false;
    const full = handlers.records(events, of(events, ...many), 600);
    expect(full).toBeDefined();
    void full!.then(() => (readOn = true));
    for (let count = 0; count < 349; count++) reader.next();
    await Promise.resolve();
    expect(readOn).toBe(false);
    for (let count = 0; count < 2; count++) reader.next();
    await full;
    expect(readOn).toBe(true);
  });

  it('lets nothing wait for room when it has ended', async () => {
    const { handlers, reader } = await joined();
    handlers.assigned([events], true);
    await turn();
    const full = handlers.records(events, of(events, ...Array.from({ length: 600 }, (_, at) => at)), 600);
    reader.madeAnew(['events']);
    await full;
  });

  it('takes nothing that was read before its partitions were told anew', async () => {
    const { handlers, reader, warned } = await joined();
    handlers.assigned([events], true);
    void handlers.records(events, of(events, 5, 6), 7, { end: 7 });
    handlers.assigned([events], true);
    void handlers.records(events, of(events, 2, 3), 4, { end: 20 });
    await turn();
    expect([reader.next()?.record.offset, reader.next()?.record.offset, reader.next()]).toEqual([2, 3, undefined]);
    expect(warned).toEqual([]);
  });

  it('tells what it has committed of the partitions that it has, and nothing of those that went', async () => {
    const { clock, handlers, reader } = await joined();
    handlers.assigned([events, queue], true);
    await turn();
    void handlers.records(events, of(events, 4), 5);
    void handlers.records(queue, of(queue, 7, 8), 9);
    expect(reader.committed).toEqual([]);
    for (let count = 0; count < 2; count++) reader.settle(reader.next()!);
    await clock.advance(50);
    expect(reader.committed).toEqual([
      { ...events, offset: 5 },
      { ...queue, offset: 8 },
    ]);
    handlers.assigned([queue], false);
    await turn();
    expect(reader.committed).toEqual([{ ...queue, offset: 8 }]);
  });

  it('writes the last acks before it leaves, and tells when the client gives up', async () => {
    const { member, handlers, reader, told } = await joined();
    handlers.assigned([events], true);
    await turn();
    void handlers.records(events, of(events, 0, 1), 2);
    reader.settle(reader.next()!);
    await reader.leave();
    expect([member.commits.at(-1), member.left]).toEqual([[{ ...events, offset: 1 }], 1]);
    const other = await joined();
    other.handlers.ended('the broker is gone');
    expect([other.told, other.reader.ending, other.member.left]).toEqual([
      ['over the broker is gone'],
      'the broker is gone',
      1,
    ]);
    expect(told).toEqual([]);
  });
});
