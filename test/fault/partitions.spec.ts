import { describe, expect, test } from '@jest/globals';
import type { Trail } from './checker.js';
import type { Entry } from './journal.js';
import { overlaps } from './partitions/order.js';

const start = (t: number, id: string, key = 'k'): Entry => ({ t, e: 'start', id, attempt: 1, key, n: 0 });
const end = (t: number, id: string): Entry => ({ t, e: 'end', id, attempt: 1 });
const disconnected = (t: number): Entry => ({ t, e: 'event', name: 'disconnected' });
const trail = (...entries: Entry[]): Trail => ({ entries });

describe('handlers of one key at a time', () => {
  test('are told when a second begins in another process, and not one after the other or of another key', () => {
    const one = trail(start(10, 'a'), end(30, 'a'));
    expect(overlaps([one, trail(start(20, 'b'), end(25, 'b'))], [])).toEqual([
      'b of k began while a was being handled',
    ]);
    expect(overlaps([one, trail(start(30, 'b'), end(40, 'b'))], [])).toEqual([]);
    expect(overlaps([one, trail(start(20, 'b', 'l'), end(40, 'b'))], [])).toEqual([]);
  });

  test('are excused where the first had lost its connection, or its node was killed, while it ran; not otherwise', () => {
    const second = trail(start(20, 'b'), end(25, 'b'));
    expect(overlaps([trail(start(10, 'a'), disconnected(15), end(30, 'a')), second], [])).toEqual([]);
    expect(overlaps([trail(start(10, 'a'), end(30, 'a')), second], [{ from: 12, to: 14 }])).toEqual([]);
    expect(overlaps([trail(disconnected(5), start(10, 'a'), disconnected(26), end(30, 'a')), second], [])).toHaveLength(
      1,
    );
    expect(overlaps([trail(start(10, 'a'), end(30, 'a')), second], [{ from: 2, to: 4 }])).toHaveLength(1);
  });
});
