import { describe, expect, it } from '@jest/globals';
import type { IncomingRecord } from '../../../lib/transports/kafka/client-port.js';
import { Intake } from '../../../lib/transports/kafka/intake.js';
import { record } from './records.js';

function intake(takes: (one: IncomingRecord) => boolean = () => true): Intake {
  return new Intake('events', 2, takes);
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
    expect(one.uncommitted).toEqual({ topic: 'events', partition: 2, offset: 0 });
    one.wasCommitted(0);
    expect(one.uncommitted).toBeUndefined();
    one.settle(first);
    expect(one.uncommitted?.offset).toBe(3);
    one.wasCommitted(3);
    expect(one.uncommitted).toBeUndefined();
  });

  it('that the queue does not take is passed over, and committed with the rest', () => {
    const one = intake(({ offset }) => offset % 2 === 0);
    one.add([record(1), record(2), record(3)], 4);
    expect(one.uncommitted?.offset).toBe(2);
    one.settle(one.take()!);
    expect([one.uncommitted?.offset, one.size]).toEqual([4, 0]);
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
    expect(one.uncommitted?.offset).toBe(9);
  });
});
