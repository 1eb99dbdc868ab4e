import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { type Change } from '../../../lib/coordination/coordination-store.js';
import { endPermit, type Limit, permit, PERMIT_MS, renewPermit } from '../../../lib/coordination/limit-state.js';

/** One entry, without promises: thousands of calls are quick. */
class Entry {
  text: string | undefined;

  constructor(readonly clock: ManualClock) {}

  change<T>(change: Change<T>): T {
    const changed = change(this.text, this.clock.now());
    if (changed.state !== undefined) this.text = changed.state ?? undefined;
    return changed.result;
  }
}

let clock: ManualClock;
let entry: Entry;

beforeEach(() => {
  clock = new ManualClock();
  entry = new Entry(clock);
});

const limit = (more: Partial<Limit>): Limit => ({ rate: undefined, perMs: 1_000, concurrency: undefined, ...more });
const ask = (of: Limit, token = 'a', waited = false): number | undefined =>
  entry.change(permit(of, token, waited))?.waitMs;

/** A backlog of messages that each come again when they were told to; gives the times of the calls. */
async function backlog(of: Limit, count: number): Promise<number[]> {
  const calls: number[] = [];
  const due = Array.from({ length: count }, (_, n) => ({ n, at: 0, waited: false }));
  while (due.length > 0) {
    due.sort((a, b) => a.at - b.at || a.n - b.n);
    const [next] = due;
    await clock.advance(Math.max(0, next.at - clock.monotonic()));
    const wait = ask(of, `${next.n}`, next.waited);
    if (wait === undefined) {
      calls.push(clock.monotonic());
      due.shift();
    } else {
      expect(wait).toBeGreaterThan(0);
      Object.assign(next, { at: clock.monotonic() + wait, waited: true });
    }
  }
  return calls;
}

describe('a rate', () => {
  test.each([
    [5, 1_000],
    [1, 1_000],
    [100, 60_000],
    [7, 333],
  ])('of %d in %d ms is not exceeded in any stretch of that time, and nearly reached', async (rate, perMs) => {
    const calls = await backlog(limit({ rate, perMs }), rate * 8);
    for (let n = rate; n < calls.length; n++) expect(calls[n] - calls[n - rate]).toBeGreaterThanOrEqual(perMs);
    expect(calls.at(-1)!).toBeLessThan(8 * perMs * 1.25);
  });

  test('lets as many begin at once as it allows', () => {
    const of = limit({ rate: 3 });
    expect([ask(of), ask(of), ask(of)]).toEqual([undefined, undefined, undefined]);
    expect(ask(of)).toBeGreaterThan(900);
  });

  test('gives those who wait times one after the other, and keeps who comes later behind them', async () => {
    const of = limit({ rate: 2 });
    ask(of);
    ask(of);
    const waits = [ask(of)!, ask(of)!, ask(of)!];
    expect(waits[1] - waits[0]).toBe(550);
    expect(waits[2] - waits[1]).toBe(550);
    await clock.advance(waits[0]);
    expect(ask(of)).toBeGreaterThan(0);
    expect(ask(of, 'a', true)).toBeUndefined();
  });

  test('gives those who came in time and wait once more times one after the other, too', () => {
    const of = limit({ rate: 2 });
    ask(of);
    ask(of);
    const [first, second, third] = [ask(of, 'a', true)!, ask(of, 'b', true)!, ask(of, 'c', true)!];
    expect([second - first, third - second]).toEqual([550, 550]);
    const before = entry.text;
    expect(entry.change(permit(of, 'a', true, true))?.waitMs).toBeGreaterThan(0);
    expect(entry.text).toBe(before);
  });

  test('survives a clock that is set back, or far ahead', async () => {
    const of = limit({ rate: 2 });
    ask(of);
    ask(of);
    clock.now = () => 1_000_000;
    expect(ask(of)).toBeLessThanOrEqual(3_600_000);
    expect(ask(of, 'a', true)).toBeGreaterThan(0);
    clock.now = () => 9e12;
    expect(ask(of)).toBeUndefined();
  });

  test('is kept by processes whose times differ a little, also where a part of the time begins', () => {
    const of = limit({ rate: 5 });
    const begun: number[] = [];
    let now = 0;
    clock.now = () => now - (now % 2 ? 3 : 0);
    for (now = 1_000_000; now < 1_010_000; now++) if (ask(of, 'a', true) === undefined) begun.push(now);
    expect(begun.length).toBeGreaterThan(40);
    for (let n = 5; n < begun.length; n++) expect(begun[n] - begun[n - 5]).toBeGreaterThanOrEqual(1_000 - 3);
  });
});

describe('a concurrency', () => {
  const of = limit({ concurrency: 2 });

  test('lets so many hold a permit, and the next when one is given back', () => {
    expect([ask(of, 'a'), ask(of, 'b')]).toEqual([undefined, undefined]);
    expect(ask(of, 'c')).toBeGreaterThan(0);
    entry.change(endPermit(of, 'a', 100));
    expect(ask(of, 'c', true)).toBeUndefined();
    expect(ask(of, 'd', true)).toBeGreaterThan(0);
  });

  test('frees the permit of who does not renew it, and tells him when he does', async () => {
    ask(of, 'a');
    ask(of, 'b');
    await clock.advance(PERMIT_MS - 1);
    expect(entry.change(renewPermit(of, 'a'))).toBe(true);
    await clock.advance(1);
    expect(ask(of, 'c', true)).toBeUndefined();
    expect(entry.change(renewPermit(of, 'b'))).toBe(false);
    expect(entry.change(renewPermit(of, 'a'))).toBe(true);
    expect(ask(of, 'd', true)).toBeGreaterThan(0);
  });

  test('frees the permit of who died before the clock was set back, as soon as any other', () => {
    const one = limit({ concurrency: 1 });
    const askAt = (now: number, token: string): number | undefined => {
      const changed = permit(one, token, true)(entry.text, now);
      if (changed.state !== undefined) entry.text = changed.state ?? undefined;
      return changed.result?.waitMs;
    };
    const now = clock.now();
    expect(askAt(now + 3_600_000, 'dead')).toBeUndefined();
    expect(askAt(now, 'a')).toBeGreaterThan(0);
    expect(askAt(now + PERMIT_MS - 1, 'a')).toBeGreaterThan(0);
    expect(askAt(now + PERMIT_MS, 'a')).toBeUndefined();
  });

  test('puts back the permit of who comes too late to renew it where nobody has taken it, also when all was forgotten', async () => {
    ask(of, 'a');
    await clock.advance(PERMIT_MS + 1);
    ask(of, 'b');
    expect(entry.change(renewPermit(of, 'a'))).toBe(true);
    expect(ask(of, 'c', true)).toBeGreaterThan(0);
    entry.text = undefined;
    expect(entry.change(renewPermit(of, 'b'))).toBe(true);
    expect(entry.change(renewPermit(of, 'a'))).toBe(true);
    expect(ask(of, 'c', true)).toBeGreaterThan(0);
  });

  test('leaves what began in a long time as long as it counts', () => {
    const daily = limit({ rate: 1, perMs: 86_400_000, concurrency: 1 });
    ask(daily, 'a');
    for (const change of [renewPermit(daily, 'a'), endPermit(daily, 'a', 1)] as Change<unknown>[]) {
      const changed = change(entry.text, clock.now());
      expect('keepMs' in changed && changed.keepMs).toBeGreaterThan(1.1 * 86_400_000);
    }
  });

  test('of one that is over gives back nobody else’s', async () => {
    ask(of, 'a');
    await clock.advance(PERMIT_MS);
    ask(of, 'b');
    ask(of, 'c');
    entry.change(endPermit(of, 'a', 1));
    expect(ask(of, 'd', true)).toBeGreaterThan(0);
  });

  test('asks those who wait to come as calls end, about', () => {
    const slow = limit({ concurrency: 1 });
    for (let n = 0; n < 30; n++) {
      ask(slow, 'a', true);
      entry.change(endPermit(slow, 'a', 10_000));
    }
    ask(slow, 'a', true);
    const [first, second] = [ask(slow, 'b')!, ask(slow, 'c')!];
    expect(first).toBeGreaterThan(9_000);
    expect(second - first).toBeGreaterThan(9_000);
  });
});
