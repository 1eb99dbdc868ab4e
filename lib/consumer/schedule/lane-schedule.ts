import { hashOf } from './key-hash.js';
import type { Schedule, ScheduledMessage } from './schedule.js';

/** One handler at a time. */
interface Lane<M> {
  busy: boolean;
  /** Heads of keys that may be handled, in their turn. */
  readonly ready: M[];
}

/** The messages of one key, first come first. */
interface KeyLine<M> {
  readonly key: string | undefined;
  readonly lane: Lane<M>;
  /** One message of the key runs or is held; the others wait for it. */
  taken: boolean;
  readonly waiting: M[];
}

interface LanePlace<M> {
  readonly line: KeyLine<M>;
  state: 'waiting' | 'running' | 'held' | 'ready';
}

/**
 * Messages of one key one after the other, in the order in which they came; each key in a lane of its own choice, and each
 * lane one handler at a time. A held head keeps its key, not its lane: other keys go on.
 */
export class LaneSchedule<M extends ScheduledMessage> implements Schedule<M> {
  readonly waiting = new Set<M>();
  private readonly places = new Map<M, LanePlace<M>>();
  private readonly lines = new Map<string, KeyLine<M>>();
  private readonly lanes: Lane<M>[];
  /** Lanes that are free and have somebody ready. */
  private readonly open = new Set<Lane<M>>();

  constructor(
    lanes: number,
    private readonly keyOf: (message: M) => string | undefined,
  ) {
    this.lanes = Array.from({ length: lanes }, () => ({ busy: false, ready: [] }));
  }

  admit(message: M): boolean {
    const line = this.lineOf(message);
    const { lane } = line;
    if (line.taken || line.waiting.length > 0 || lane.busy || lane.ready.length > 0) {
      this.enqueue(message, line);
      return false;
    }
    this.places.set(message, { line, state: 'running' });
    line.taken = true;
    lane.busy = true;
    return true;
  }

  wait(message: M): void {
    this.enqueue(message, this.lineOf(message));
  }

  next(): M | undefined {
    for (const lane of this.open) {
      const message = lane.ready.shift()!;
      const place = this.places.get(message)!;
      if (place.state === 'waiting') {
        this.waiting.delete(message);
        place.line.waiting.shift();
        place.line.taken = true;
      }
      place.state = 'running';
      lane.busy = true;
      this.update(lane);
      return message;
    }
    return undefined;
  }

  end(message: M): void {
    const place = this.places.get(message);
    if (!place || place.state === 'waiting') return;
    this.places.delete(message);
    const { line } = place;
    if (place.state === 'running') line.lane.busy = false;
    if (place.state === 'ready') remove(line.lane.ready, message);
    line.taken = false;
    this.advance(line);
  }

  withdraw(message: M): boolean {
    if (!this.waiting.delete(message)) return false;
    const { line } = this.places.get(message)!;
    this.places.delete(message);
    remove(line.waiting, message);
    if (remove(line.lane.ready, message)) this.advance(line);
    else this.forget(line);
    return true;
  }

  hold(message: M): void {
    const place = this.places.get(message);
    if (place?.state !== 'running') return;
    place.state = 'held';
    place.line.lane.busy = false;
    this.update(place.line.lane);
  }

  ready(message: M): void {
    const place = this.places.get(message);
    if (place?.state !== 'held') return;
    place.state = 'ready';
    // The message came before all that wait.
    place.line.lane.ready.unshift(message);
    this.update(place.line.lane);
  }

  private enqueue(message: M, line: KeyLine<M>): void {
    this.waiting.add(message);
    this.places.set(message, { line, state: 'waiting' });
    line.waiting.push(message);
    if (!line.taken && line.waiting.length === 1) this.advance(line);
  }

  /** The head of a key that is not taken gets in line for its lane. */
  private advance(line: KeyLine<M>): void {
    if (line.waiting.length > 0) line.lane.ready.push(line.waiting[0]);
    this.update(line.lane);
    this.forget(line);
  }

  private forget(line: KeyLine<M>): void {
    if (line.key !== undefined && !line.taken && line.waiting.length === 0) this.lines.delete(line.key);
  }

  private update(lane: Lane<M>): void {
    if (!lane.busy && lane.ready.length > 0) this.open.add(lane);
    else this.open.delete(lane);
  }

  /** A message without a key waits for nobody of its kind; its id spreads such messages over the lanes. */
  private lineOf(message: M): KeyLine<M> {
    const key = this.keyOf(message);
    const known = key === undefined ? undefined : this.lines.get(key);
    if (known) return known;
    const lane = this.lanes[hashOf(key ?? message.message.id) % this.lanes.length];
    const line: KeyLine<M> = { key, lane, taken: false, waiting: [] };
    if (key !== undefined) this.lines.set(key, line);
    return line;
  }
}

function remove<M>(list: M[], message: M): boolean {
  const at = list.indexOf(message);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}
