import { describe, expect, it } from '@jest/globals';
import { MOST_AHEAD } from '../../../lib/transports/kafka/ahead.js';
import type { IncomingRecord } from '../../../lib/transports/kafka/client-port.js';
import { Intake } from '../../../lib/transports/kafka/intake.js';
import { record } from './records.js';

function intake(takes: (one: IncomingRecord) => boolean = () => true): Intake {
  return new Intake('events', 2, { takes });
}

describe('what was fetched of a partition', () => {
  it('is handed over in its order, and what is fetched again after a rebalance is dropped', () => {
    const one = intake();
    one.add([record(5), record(6)], 7);
    expect(one.take()?.offset).toBe(5);
    one.add([record(5), record(6), record(7)], 8);
    expect([one.take()?.offset, one.take()?.offset, one.take()?.offset]).toEqual([6, 7, undefined]);
  });

  it('is committed up to the first that is not settled, and not twice', () => {
    const one = intake();
    one.add([record(0), record(1), record(2)], 3);
    const [first, second, third] = [one.take()!, one.take()!, one.take()!];
    one.settle(second);
    one.settle(third);
    expect(one.takeUncommitted()).toMatchObject({ topic: 'events', partition: 2, offset: 0 });
    one.wasCommitted(0);
    expect(one.takeUncommitted()).toBeUndefined();
    one.settle(first);
    expect(one.takeUncommitted()).toEqual({ topic: 'events', partition: 2, offset: 3 });
    one.wasCommitted(3);
    expect(one.takeUncommitted()).toBeUndefined();
  });

  it('and was settled ahead of the place is noted with it: whoever has the partition next is not given it again', () => {
    const records = [0, 1, 2, 3, 4].map((offset) => record(offset, { timestamp: 1_000 + offset }));
    const one = intake();
    one.add(records, 5);
    const taken = records.map(() => one.take()!);
    for (const at of [1, 3]) one.settle(taken[at]);
    const place = one.takeUncommitted()!;
    expect(place.offset).toBe(0);
    const next = intake();
    next.beginAt(place);
    next.add(records, 5);
    expect([0, 1, 2, 3].map(() => next.take()?.offset)).toEqual([0, 2, 4, undefined]);
    next.settle(records[0]);
    expect(next.takeUncommitted()).toMatchObject({ offset: 2 });
  });

  it('is noted for 20,000 behind one that stays, no more are handed over before it goes, and a broker keeps the note', () => {
    const records = Array.from({ length: 20_001 }, (_, at) => record(at, { timestamp: 1_764_525_600_000 + at }));
    const one = new Intake('events', 2, { takes: () => true, most: MOST_AHEAD });
    one.add(records, records.length);
    const taken: IncomingRecord[] = [];
    while (one.head) taken.push(one.take()!);
    expect(taken).toHaveLength(20_000);
    for (const other of taken.slice(1)) one.settle(other);
    const place = one.takeUncommitted()!;
    expect(place.metadata!.length).toBeLessThanOrEqual(4_096);
    const next = intake();
    next.beginAt(place);
    next.add(records, records.length);
    expect([0, 1, 2].map(() => next.take()?.offset)).toEqual([0, 20_000, undefined]);
    one.settle(taken[0]);
    expect(one.take()?.offset).toBe(20_000);
  });

  it('is what a commit that failed has to say again', () => {
    const one = intake();
    one.add([record(0), record(1)], 2);
    one.settle([one.take()!, one.take()!][1]);
    one.wasCommitted(one.takeUncommitted()!.offset);
    expect(one.hasUncommitted).toBe(false);
    one.wasNotCommitted();
    expect(one.takeUncommitted()).toMatchObject({ offset: 0 });
  });

  it('is handed over although something was settled at its place, where the log is another one', () => {
    const one = intake();
    one.add([record(0), record(1, { timestamp: 5 })], 2);
    one.settle([one.take()!, one.take()!][1]);
    const place = one.takeUncommitted()!;
    const next = intake();
    next.beginAt(place);
    next.add([record(0), record(1, { timestamp: 6 })], 2);
    expect([next.take()?.offset, next.take()?.offset]).toEqual([0, 1]);
  });

  it('is not read from the end of a look on', () => {
    const one = new Intake('events', 2, { takes: () => true, end: 2 });
    one.add([record(0), record(1), record(2)], 3);
    expect([one.next, one.size]).toEqual([2, 2]);
  });

  it('of another client says nothing of what is settled', () => {
    const one = intake();
    one.beginAt({ topic: 'events', partition: 2, offset: 0, metadata: 'theirs' });
    one.add([record(0)], 1);
    expect(one.take()?.offset).toBe(0);
  });

  it('that the queue does not take is passed over, and committed with the rest', () => {
    const one = intake(({ offset }) => offset % 2 === 0);
    one.add([record(1), record(2), record(3)], 4);
    expect(one.takeUncommitted()?.offset).toBe(2);
    one.settle(one.take()!);
    expect([one.takeUncommitted()?.offset, one.size]).toEqual([4, 0]);
  });

  it('and was given back is handed over again before what is behind it', () => {
    const one = intake();
    one.add([record(1), record(2), record(3)], 4);
    const [first, second] = [one.take()!, one.take()!];
    one.giveBack(second);
    one.giveBack(first);
    expect([one.take()?.offset, one.take()?.offset, one.take()?.offset]).toEqual([1, 2, 3]);
  });

  it('moves on over what the log has nothing of', () => {
    const one = intake();
    one.add([record(1)], 2);
    one.settle(one.take()!);
    one.add([], 9);
    expect(one.takeUncommitted()?.offset).toBe(9);
  });
});
