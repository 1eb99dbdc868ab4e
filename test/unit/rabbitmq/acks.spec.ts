import { expect, test } from '@jest/globals';
import { Acks } from '../../../lib/transports/rabbitmq/consuming/acks.js';
import { seeded } from '../support/application.js';

/** A channel as the broker keeps it: what was delivered on it and is not settled. */
class Channel {
  readonly frames: string[] = [];
  readonly outstanding = new Set<number>();
  readonly acked: number[] = [];
  readonly acks = new Acks((tag, upTo) => {
    this.frames.push(upTo ? `≤${tag}` : `${tag}`);
    // The broker closes the channel over a tag that it does not know.
    if (!this.outstanding.has(tag)) throw new Error(`Unknown delivery tag ${tag}`);
    for (const one of upTo ? [...this.outstanding].filter((other) => other <= tag) : [tag]) {
      this.outstanding.delete(one);
      this.acked.push(one);
    }
  });
  private last = 0;

  deliver(count = 1): void {
    for (let n = 0; n < count; n++) {
      this.outstanding.add(++this.last);
      this.acks.delivered(this.last);
    }
  }

  give(...tags: number[]): void {
    for (const tag of tags) this.acks.give(tag);
  }

  nack(tag: number): void {
    this.outstanding.delete(tag);
    this.acks.settled(tag);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('acks of one turn leave as one frame where nothing below them is still to be settled', async () => {
  const channel = new Channel();
  channel.deliver(5);
  channel.give(1, 3, 2);
  expect(channel.frames).toEqual([]);
  await turn();
  expect(channel.frames).toEqual(['≤3']);
  expect([...channel.outstanding]).toEqual([4, 5]);
});

test('above a message that is still being handled each is acked by itself', async () => {
  const channel = new Channel();
  channel.deliver(6);
  channel.give(1, 2, 4, 6);
  await turn();
  expect(channel.frames).toEqual(['≤2', '4', '6']);
  expect([...channel.outstanding]).toEqual([3, 5]);
  channel.give(3, 5);
  await turn();
  expect(channel.frames.slice(3)).toEqual(['≤5']);
  expect(channel.outstanding.size).toBe(0);
});

test('one alone is acked by itself, and what was given back counts as settled', async () => {
  const channel = new Channel();
  channel.deliver(4);
  channel.give(1);
  await turn();
  channel.nack(2);
  channel.give(4, 3);
  await turn();
  expect(channel.frames).toEqual(['1', '≤4']);
  expect(channel.acked).toEqual([1, 3, 4]);
});

test('acks of asynchronous handlers that end in one turn leave together, too', async () => {
  const channel = new Channel();
  channel.deliver(3);
  await Promise.all(
    [3, 1, 2].map(async (tag) => {
      for (let n = 0; n < tag; n++) await Promise.resolve();
      channel.give(tag);
    }),
  );
  await turn();
  expect(channel.frames).toEqual(['≤3']);
});

test('those that may wait leave together: when the wait is over, or with the most that may wait', async () => {
  const frames: string[] = [];
  const over: (() => void)[] = [];
  const acks = new Acks((tag, upTo) => frames.push(upTo ? `≤${tag}` : `${tag}`), {
    start: (end) => over.push(end),
    most: 3,
  });
  for (let tag = 1; tag <= 8; tag++) acks.delivered(tag);
  acks.give(1);
  acks.give(2);
  await turn();
  expect(frames).toEqual([]);
  over[0]();
  expect(frames).toEqual(['≤2']);
  for (const tag of [3, 4, 5, 6]) acks.give(tag);
  expect(frames).toEqual(['≤2', '≤5']);
  // One wait at a time.
  expect(over).toHaveLength(2);
  over[1]();
  expect(frames).toEqual(['≤2', '≤5', '6']);
});

test('flush writes at once what was given, and nothing is written twice', async () => {
  const channel = new Channel();
  channel.deliver(2);
  channel.give(1, 2);
  channel.acks.flush();
  channel.acks.flush();
  await turn();
  expect(channel.frames).toEqual(['≤2']);
});

test('in thousands of random steps exactly what was given is acked, once', async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seeded(seed);
    const channel = new Channel();
    const running = new Set<number>();
    const given: number[] = [];
    let last = 0;
    for (let step = 0; step < 200; step++) {
      const dice = random();
      if (dice < 0.45) {
        channel.deliver();
        running.add(++last);
      } else if (dice < 0.95 && running.size > 0) {
        // Mostly one of the first, as with handlers that take about equally long.
        const [...tags] = running;
        const tag = tags[Math.floor(random() ** 3 * tags.length)];
        running.delete(tag);
        if (random() < 0.1) channel.nack(tag);
        else {
          channel.give(tag);
          given.push(tag);
        }
      }
      if (random() < 0.2) await turn();
    }
    await turn();
    expect([...channel.acked].sort((a, b) => a - b)).toEqual([...given].sort((a, b) => a - b));
    expect([...channel.outstanding]).toEqual([...running]);
  }
});
