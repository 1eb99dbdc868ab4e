import type { Trail } from '../checker.js';
import type { Entry } from '../journal.js';

/** A time in which a node of the broker was killed, in microseconds. */
export interface Blow {
  readonly from: number;
  readonly to: number;
}

/** One handler call. */
interface Call {
  readonly id: string;
  readonly key: string;
  readonly trail: Trail;
  readonly from: number;
  to: number;
}

/** What all processes did, in the order in which it happened. */
export function inTime(trails: readonly Trail[]): Entry[] {
  return trails.flatMap(({ entries }) => entries).sort((a, b) => a.t - b.t);
}

/**
 * Where two messages of one key were handled at a time. Excused is the first of them when its process lost its connection,
 * or a node was killed, while it ran: it cannot know yet that its message is another's.
 */
export function overlaps(trails: readonly Trail[], blows: readonly Blow[]): string[] {
  const found: string[] = [];
  const latest = new Map<string, Call>();
  for (const call of trails.flatMap(callsOf).sort((a, b) => a.from - b.from)) {
    const earlier = latest.get(call.key);
    latest.set(call.key, call);
    if (!earlier || earlier.to <= call.from) continue;
    const cut = [...blows, ...disconnects(earlier.trail)].some(
      ({ from, to }) => from <= call.from && to >= earlier.from,
    );
    if (!cut) found.push(`${call.id} of ${call.key} began while ${earlier.id} was being handled`);
  }
  return found;
}

function callsOf(trail: Trail): Call[] {
  const calls: Call[] = [];
  const open = new Map<string, Call>();
  for (const entry of trail.entries) {
    if (entry.e === 'start' && entry.key !== undefined) {
      const call = { id: entry.id, key: entry.key, trail, from: entry.t, to: Infinity };
      open.set(entry.id, call);
      calls.push(call);
    }
    if (entry.e !== 'end' && entry.e !== 'fail') continue;
    const call = open.get(entry.id);
    if (call) call.to = entry.t;
    open.delete(entry.id);
  }
  return calls;
}

function disconnects({ entries }: Trail): Blow[] {
  return entries.flatMap((entry) =>
    entry.e === 'event' && entry.name === 'disconnected' ? [{ from: entry.t, to: entry.t }] : [],
  );
}
