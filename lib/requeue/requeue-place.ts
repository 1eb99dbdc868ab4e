import { turned } from '../clock/turn.js';
import type { DeadLetterPlace, Expiring } from '../dead-letter/dead-letter-place.js';
import type { DeadEntry } from '../durable-queue/queue-entry.js';
import type { DurableQueue } from '../durable-queue/durable-queue.js';
import type { DeadLetter } from '../dead-letter/dead-letter.js';
import { readMeta } from './requeue-meta.js';

const TOGETHER = 100;

/** The dead letters of one queue of the service. Its files are this process's alone. */
export class RequeuePlace implements DeadLetterPlace {
  readonly name: string;

  constructor(
    private readonly queueName: string,
    private readonly queue: DurableQueue,
  ) {
    this.name = `«${queueName}»`;
  }

  async count(): Promise<number> {
    return this.queue.totals(this.queueName).dead;
  }

  async oldest(before: number): Promise<number | undefined> {
    const [first] = this.queue.oldestDead(this.queueName, 1);
    return first && first.time < before ? first.time : undefined;
  }

  async expire(expiring: Expiring): Promise<void> {
    const { before, maxCount } = expiring;
    while (!expiring.isStopped()) {
      const over = this.queue.totals(this.queueName).dead - maxCount;
      const page = this.queue.oldestDead(this.queueName, TOGETHER);
      const chosen = page.filter(({ time }, at) => time < before || at < over);
      // A disk that fails deletes nothing.
      const gone = this.queue.deleteDead(this.queueName, chosen);
      if (gone.length === 0) return;
      for (const dead of gone) expiring.deleted(letterOf(dead), dead.time < before ? 'maxAge' : 'maxCount');
      if (page.length < TOGETHER) return;
      await turned();
    }
  }
}

function letterOf({ id, queue, meta, body, reason, attempts, time, ...error }: DeadEntry): DeadLetter {
  return {
    ...{ id, body, reason, attempts, time },
    deadLetterQueue: queue,
    route: readMeta(meta)?.subject ?? '',
    headers: {},
    error: { class: error.errorClass, code: error.errorCode, message: error.errorMessage },
    origin: { queue },
  };
}
