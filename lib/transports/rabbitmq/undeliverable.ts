import type { Clock } from '../../clock/clock.js';
import type { WireMessage } from '../../message/message.js';

/** Not seen again for this long: another process has taken it over, or delivered it. */
const FORGET_AFTER_MS = 180_000;
const MOST = 10_000;

/** Delayed messages that were due and that nobody took, as far as this process has seen them. */
export class Undeliverable {
  private readonly lastSeen = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  get count(): number {
    const oldest = this.clock.monotonic() - FORGET_AFTER_MS;
    for (const [id, seen] of this.lastSeen) if (seen < oldest) this.lastSeen.delete(id);
    return this.lastSeen.size;
  }

  /** True when it is seen for the first time. */
  seen(message: WireMessage): boolean {
    const key = keyOf(message);
    const isNew = !this.lastSeen.has(key);
    if (!isNew || this.count < MOST) this.lastSeen.set(key, this.clock.monotonic());
    return isNew;
  }

  delivered(message: WireMessage): void {
    if (this.lastSeen.size > 0) this.lastSeen.delete(keyOf(message));
  }
}

function keyOf(message: WireMessage): string {
  return `${message.id} ${message.route}`;
}
