import type { Clock } from '../../../clock/clock.js';
import { PublishFailedError } from '../../../errors/publish-errors.js';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** With more destinations than these the one that has been suspected longest is forgotten. */
const MOST = 1_000;

/** What is published there is not confirmed: a queue of a majority that is gone, say. */
export class Suspicion {
  /** What whoever publishes there is told meanwhile. */
  readonly error: PublishFailedError;
  /** One message is under way to the destination. */
  probed = false;
  private timeouts = 0;
  private nextProbeAt = -Infinity;

  constructor(
    name: string,
    private readonly clock: Clock,
  ) {
    this.error = new PublishFailedError(
      `RabbitMQ does not confirm what is published to ${name}: one message at a time is tried until it does`,
    );
  }

  /** A message may find out whether it answers again. */
  get mayBeProbed(): boolean {
    return !this.probed && this.clock.monotonic() >= this.nextProbeAt;
  }

  /** A probe was not answered in time: each can have left a copy, so the next ones come ever more seldom. */
  timedOut(): void {
    this.nextProbeAt = this.clock.monotonic() + Math.min(FIRST_PAUSE_MS * 2 ** this.timeouts++, LONGEST_PAUSE_MS);
  }
}

/** The destinations that did not answer, and have not answered since. */
export class Suspects {
  private readonly suspects = new Map<string, Suspicion>();

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.suspects.size;
  }

  of(destination: string): Suspicion | undefined {
    return this.suspects.get(destination);
  }

  /** `name`: for people. */
  add(destination: string, name: string): void {
    for (const oldest of this.suspects.keys()) {
      if (this.suspects.size < MOST) break;
      this.suspects.delete(oldest);
    }
    this.suspects.set(destination, new Suspicion(name, this.clock));
  }

  /** The destination answered. */
  acquit(destination: string): void {
    this.suspects.delete(destination);
  }
}
