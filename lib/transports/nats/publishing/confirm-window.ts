import type { CancelTimer, Clock } from '../../../clock/clock.js';
import type { Outgoing } from '../../../transport/outgoing.js';
import type { PublishDone } from '../../../transport/transport.js';

/** One publish. */
export interface Sending {
  readonly outgoing: Outgoing;
  readonly subject: string;
  readonly delayed: boolean;
  /** Bytes that stay free for the message's copies. */
  readonly room: number;
  readonly done: PublishDone;
}

/** A publish without an answer yet. */
export interface Unconfirmed extends Sending {
  readonly deadline: number;
}

/** What was sent and not answered yet, with one timer for all of it. */
export class ConfirmWindow {
  private readonly unconfirmed = new Map<number, Unconfirmed>();
  private next = 0;
  private cancelTimer?: CancelTimer;

  constructor(
    private readonly clock: Clock,
    private readonly timeout: number,
    private readonly onTimeout: (late: readonly Unconfirmed[]) => void,
  ) {}

  /** The number that its answer will carry. */
  add({ outgoing, subject, delayed, room, done }: Sending): number {
    const number = this.next++;
    const deadline = this.clock.monotonic() + this.timeout;
    this.unconfirmed.set(number, { outgoing, subject, delayed, room, done, deadline });
    this.cancelTimer ??= this.clock.after(this.timeout, () => this.check());
    return number;
  }

  /** The publish of a number; undefined when it has its result already. */
  take(number: number): Unconfirmed | undefined {
    const found = this.unconfirmed.get(number);
    if (!found) return undefined;
    this.unconfirmed.delete(number);
    return found;
  }

  takeAll(): Unconfirmed[] {
    const all = [...this.unconfirmed.values()];
    this.unconfirmed.clear();
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    return all;
  }

  /** Sent in order with one timeout, so they come of age in order. */
  private check(): void {
    this.cancelTimer = undefined;
    const now = this.clock.monotonic();
    const late: Unconfirmed[] = [];
    for (const [number, one] of this.unconfirmed) {
      if (one.deadline > now) {
        this.cancelTimer = this.clock.after(one.deadline - now, () => this.check());
        break;
      }
      this.unconfirmed.delete(number);
      late.push(one);
    }
    if (late.length > 0) this.onTimeout(late);
  }
}
