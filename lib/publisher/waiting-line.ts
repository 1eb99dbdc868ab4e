import type { CancelTimer, Clock } from '../clock/clock.js';
import { RetryQueueFullError } from '../errors/publish-errors.js';
import type { Publication } from './publication.js';

/** Callers that wait for room in the full retry queue (`whenFull: 'wait'`), each up to a deadline. */
export class RoomLine {
  private readonly waiting = new Map<Publication, CancelTimer>();

  constructor(
    private readonly waitTimeout: number,
    private readonly clock: Clock,
  ) {}

  get length(): number {
    return this.waiting.size;
  }

  get first(): Publication | undefined {
    return this.waiting.keys().next().value;
  }

  join(publication: Publication): void {
    const cancel = this.clock.after(this.waitTimeout, () => {
      this.waiting.delete(publication);
      publication.rejected(
        new RetryQueueFullError(
          `The publisher retry queue stayed full for ${this.waitTimeout} ms; the message was not accepted`,
        ),
      );
    });
    this.waiting.set(publication, cancel);
  }

  /** The first in line leaves it. */
  shift(): Publication | undefined {
    const { first } = this;
    if (!first) return undefined;
    this.waiting.get(first)?.();
    this.waiting.delete(first);
    return first;
  }
}
