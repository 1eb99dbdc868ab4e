import { describe, expect, it } from '@jest/globals';
import type { WireMessage } from '../../../lib/message/message.js';
import { SettledOnce, type Settler } from '../../../lib/transports/kit/settled-once.js';

class Letter extends SettledOnce<string, Settler<Letter>> {
  get raw(): string {
    return this.received;
  }

  get isHeld(): boolean {
    return this.holder !== undefined;
  }
}

function delivered(confirms?: boolean): { letter: Letter; done: string[] } {
  const done: string[] = [];
  const settler: Settler<Letter> = {
    ack: () => void done.push('ack'),
    release: (_, delayMs) => void done.push(`release ${delayMs}`),
    ...(confirms && { ackConfirmed: async () => done.push('ackConfirmed') > 0 }),
  };
  return { letter: new Letter({ id: '1' } as WireMessage, 'q', false, 't', 0, 'raw', settler), done };
}

const ways: Record<string, (letter: Letter) => unknown> = {
  ack: (letter) => letter.ack(),
  ackConfirmed: (letter) => letter.ackConfirmed(),
  release: (letter) => letter.release(),
};

describe('a delivery', () => {
  it.each(Object.keys(ways))('that was settled by %s is settled no more', async (way) => {
    const { letter, done } = delivered(true);
    ways[way](letter);
    expect(done).toHaveLength(1);
    expect(letter.isHeld).toBe(false);
    for (const again of Object.values(ways)) again(letter);
    await expect(letter.ackConfirmed()).resolves.toBe(false);
    expect(done).toHaveLength(1);
  });

  it.each(Object.keys(ways))('that was abandoned is not settled by %s', async (way) => {
    const { letter, done } = delivered(true);
    letter.abandon();
    await ways[way](letter);
    expect(done).toEqual([]);
    expect(letter.isHeld).toBe(false);
  });

  it('whose broker tells of no ack is acked all the same, and nobody knows whether it was read', async () => {
    const { letter, done } = delivered();
    await expect(letter.ackConfirmed()).resolves.toBe(false);
    expect(done).toEqual(['ack']);
  });

  it('is released at once unless a delay is given', () => {
    const first = delivered();
    first.letter.release();
    const second = delivered();
    second.letter.release(5);
    expect([...first.done, ...second.done]).toEqual(['release 0', 'release 5']);
  });
});
