import type { QueueEntry } from '../durable-queue/queue-entry.js';

/** The queue of a message, as far as what is under way concerns it. */
export interface FlightLine {
  inFlight: number;
  /** A message waits again. */
  expect(dueAt: number, expiresAt: number | undefined, now: number): void;
}

/** A message that was sent and is not answered. */
export interface Flight {
  readonly token: number;
  readonly entry: QueueEntry;
  readonly line: FlightLine;
  readonly sentAt: number;
  /** The flight was given its time again, because the server had been silent. */
  readonly restamped: boolean;
}

/** What is under way, in the order in which it was sent. Each sending has a token of its own, so that a late reply counts for nothing else. */
export class InFlightMessages {
  private readonly byToken = new Map<number, Flight>();
  private readonly seqs = new Set<number>();
  private lastToken = 0;

  get size(): number {
    return this.byToken.size;
  }

  has(seq: number): boolean {
    return this.seqs.has(seq);
  }

  add(entry: QueueEntry, line: FlightLine, sentAt: number): number {
    const token = ++this.lastToken;
    this.byToken.set(token, { token, entry, line, sentAt, restamped: false });
    this.seqs.add(entry.seq);
    line.inFlight++;
    return token;
  }

  /** Takes a flight out; undefined when it was answered or given up before. */
  take(token: number): Flight | undefined {
    const flight = this.byToken.get(token);
    if (!flight) return undefined;
    this.byToken.delete(token);
    this.seqs.delete(flight.entry.seq);
    flight.line.inFlight--;
    return flight;
  }

  /** The flight that was sent first. */
  get oldest(): Flight | undefined {
    return this.byToken.values().next().value;
  }

  /** Flights sent not after `time` count as sent now, once; takes out and returns those that had that before. */
  restamp(time: number, now: number): Flight[] {
    const again: Flight[] = [];
    for (const flight of this.takeSentUntil(time)) {
      if (flight.restamped) {
        again.push(flight);
        continue;
      }
      this.byToken.set(flight.token, { ...flight, sentAt: now, restamped: true });
      this.seqs.add(flight.entry.seq);
      flight.line.inFlight++;
    }
    return again;
  }

  /** Takes out all that were sent not after `time`. */
  takeSentUntil(time: number): Flight[] {
    const taken: Flight[] = [];
    for (const flight of this.byToken.values()) {
      if (flight.sentAt > time) break;
      taken.push(flight);
    }
    for (const { token } of taken) this.take(token);
    return taken;
  }
}
