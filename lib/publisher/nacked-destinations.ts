import type { Clock } from '../clock/clock.js';
import type { Log } from '../events/log.js';
import type { Destination } from '../transport/outgoing.js';

/** Destinations that are remembered, and of those the ones that health names. */
const MOST = 100;
const MOST_TOLD = 10;
/** A destination whose refusals go on is told in the log once, and again after it was quiet for so long. */
const QUIET_MS = 60_000;
/** Not refused again for so long: what waited for it was given up, or has expired. */
const FORGET_AFTER_MS = 180_000;

/** A destination that the broker takes nothing for at the moment, though it is connected. */
export interface DeclinedDestination {
  /** The route, with its topic where the publish named one; or the queue. */
  readonly to: string;
  /** Since when, as an ISO time. */
  readonly since: string;
  /** What the broker said last, in words. */
  readonly reason: string;
}

interface Refusal {
  readonly since: string;
  reason: string;
  lastAt: number;
  over: boolean;
}

/** Where messages wait for because the broker declines them, not because it is away. */
export class NackedDestinations {
  private readonly byName = new Map<string, Refusal>();

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  get isEmpty(): boolean {
    return this.byName.size === 0;
  }

  nacked(to: Destination, reason: string): void {
    const name = nameOf(to);
    const now = this.clock.monotonic();
    const known = this.byName.get(name);
    if (known && now - known.lastAt < FORGET_AFTER_MS && (!known.over || now - known.lastAt < QUIET_MS)) {
      known.over = false;
      known.lastAt = now;
      known.reason = reason;
      return;
    }
    this.byName.delete(name);
    this.byName.set(name, { since: new Date(this.clock.now()).toISOString(), reason, lastAt: now, over: false });
    if (this.byName.size > MOST) this.byName.delete(this.byName.keys().next().value!);
    this.log.warn(
      `The broker takes no messages for «${name}»: ${reason}. They wait in the publisher retry queue and are sent again after growing pauses; queues of the route that do take them get a copy each time`,
    );
  }

  /** A message that had waited was taken. */
  confirmed(to: Destination): void {
    const refusal = this.byName.get(nameOf(to));
    if (refusal) refusal.over = true;
  }

  report(): DeclinedDestination[] {
    const oldest = this.clock.monotonic() - FORGET_AFTER_MS;
    return [...this.byName]
      .filter(([, { over, lastAt }]) => !over && lastAt > oldest)
      .slice(0, MOST_TOLD)
      .map(([to, { since, reason }]) => ({ to, since, reason }));
  }
}

function nameOf(to: Destination): string {
  if (to.kind === 'queue') return to.queue;
  return to.kind === 'route' && to.topic !== undefined ? `${to.topic} ${to.route}` : to.route;
}
