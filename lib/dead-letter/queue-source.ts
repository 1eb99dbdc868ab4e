import type { Clock } from '../clock/clock.js';
import type { Delivery } from '../transport/delivery.js';
import type { Browser, QueueOperations } from '../transport/queue-operations.js';
import { type DeadLetter, readDeadLetter } from './dead-letter.js';
import type { Candidate, RedriveLook, RedriveSource, SentFirst } from './redrive-source.js';
import { redrivenCopy } from './redriven-copy.js';

interface QueueCandidate extends Candidate {
  readonly delivery: Delivery;
}

/** A dead-letter queue of the broker. */
export class QueueSource implements RedriveSource {
  private latest: Browser | undefined;

  constructor(
    private readonly queue: string,
    private readonly queues: QueueOperations,
    private readonly clock: Clock,
  ) {}

  size(): Promise<number | undefined> {
    return this.queues.depth(this.queue);
  }

  async look(): Promise<RedriveLook> {
    const browser = await this.queues.browse(this.queue, this.latest);
    this.latest = browser;
    return new QueueLook(this.queue, browser, this.clock);
  }

  /** Where nothing has come to the queue, nothing has returned. */
  async returned(canaries: readonly SentFirst[]): Promise<Iterable<string>> {
    if (!canaries.some(({ deadLetterQueue }) => deadLetterQueue === this.queue)) return [];
    const look = await this.queues.browse(this.queue, this.latest);
    const arrived = await look.arrived();
    await look.close();
    if (arrived === 0) return [];
    return idsIn(this.queues, this.queue, new Set(canaries.map(({ id }) => id)));
  }
}

class QueueLook implements RedriveLook {
  constructor(
    private readonly queue: string,
    private readonly browser: Browser,
    private readonly clock: Clock,
  ) {}

  async next(): Promise<QueueCandidate | undefined> {
    const delivery = await this.browser.next();
    if (!delivery) return undefined;
    const { message } = delivery;
    const letter: DeadLetter = readDeadLetter(message, this.queue);
    return { letter, delivery, copy: (attempt) => redrivenCopy(letter, message, attempt, this.clock.now()) };
  }

  /** Nobody can be kept from a dead letter: NATS shows a message to everybody who looks. */
  hold(batch: readonly Candidate[]): Promise<readonly Candidate[]> {
    return Promise.resolve(batch);
  }

  remove(confirmed: readonly Candidate[]): Promise<void> {
    for (const { delivery } of confirmed as readonly QueueCandidate[]) void delivery.ack();
    return Promise.resolve();
  }

  arrived(): Promise<number> {
    return this.browser.arrived();
  }

  close(): Promise<void> {
    return this.browser.close();
  }
}

/** Which of these ids are in a queue; all of it is read. */
export async function idsIn(
  queues: QueueOperations,
  queue: string,
  wanted: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const all = await queues.browse(queue);
  try {
    for (let one = await all.next(); one; one = await all.next())
      if (wanted.has(one.message.id)) found.add(one.message.id);
  } finally {
    await all.close();
  }
  return found;
}
