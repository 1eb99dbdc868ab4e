import type { Clock } from '../clock/clock.js';
import { turned } from '../clock/turn.js';
import type { Delivery } from '../transport/delivery.js';
import type { QueueOperations } from '../transport/queue-operations.js';
import { readDeadLetter } from './dead-letter.js';
import type { DeadLetterPlace, Expiring } from './dead-letter-place.js';

/** So many at the head whose time nobody has said are passed over. */
const MOST_UNKNOWN = 100;
/** A broker in this process answers without letting the event loop turn. */
const LOOKS_TOGETHER = 100;
/** What was seen first is looked for again after so long, though the count is the same. */
const LOOK_AGAIN_MS = 600_000;

/** What a look has seen. */
interface Seen {
  /** When the first was given up; nothing in the queue is older. */
  readonly first: number;
  readonly depth: number;
  readonly at: number;
}

/**
 * A dead-letter queue of the broker. To look into it costs the broker something, and changes its order on some: what was
 * seen first is remembered, and nobody looks before that is old.
 */
export class QueuePlace implements DeadLetterPlace {
  readonly name: string;
  private seen: Seen | undefined;

  constructor(
    private readonly queue: string,
    private readonly queues: QueueOperations,
    private readonly clock: Clock,
  ) {
    this.name = `«${queue}»`;
  }

  count(): Promise<number | undefined> {
    return this.queues.depth(this.queue);
  }

  async oldest(before: number): Promise<number | undefined> {
    const depth = await this.count();
    if (!depth || (this.seen && this.seen.first >= before)) return undefined;
    if (this.seen?.depth !== depth || this.clock.now() - this.seen.at > LOOK_AGAIN_MS)
      await this.look({ before: -Infinity, maxCount: Infinity, deleted: () => undefined, isStopped: () => false });
    return this.seen!.first < before ? this.seen!.first : undefined;
  }

  async expire(expiring: Expiring): Promise<void> {
    const depth = await this.count();
    if (!depth) return;
    const mayBeOld = expiring.before > -Infinity && (!this.seen || this.seen.first < expiring.before);
    if (mayBeOld || depth > expiring.maxCount) await this.look(expiring);
  }

  private async look(expiring: Expiring): Promise<void> {
    const { queue, queues, clock } = this;
    const at = clock.now();
    let first: number | undefined;
    const browser = await queues.browse(queue);
    let passed = 0;
    let looks = 0;
    try {
      for (let next = await browser.next(); next && !expiring.isStopped(); next = await browser.next()) {
        if (++looks % LOOKS_TOGETHER === 0) await turned();
        const letter = readDeadLetter(next.message, queue);
        const isOld = letter.time !== undefined && letter.time < expiring.before;
        // Asked anew for each: another process may be removing some, too.
        const isOver = !isOld && expiring.maxCount < Infinity && passed + (await browser.behind()) >= expiring.maxCount;
        if (isOld || isOver) {
          if (await removed(next)) expiring.deleted(letter, isOld ? 'maxAge' : 'maxCount');
          continue;
        }
        first = letter.time;
        if (first !== undefined || ++passed >= MOST_UNKNOWN) break;
      }
    } finally {
      await browser.close();
    }
    // What comes to an empty queue is given up from now on.
    this.seen = { first: first ?? at, depth: (await this.count()) ?? 0, at };
  }
}

/** False: the dead letter is still there, or nobody knows. */
async function removed(delivery: Delivery): Promise<boolean> {
  if (delivery.ackConfirmed) return delivery.ackConfirmed();
  delivery.ack();
  return true;
}
