import type { MessageContext } from '../../pipeline/message-context.js';
import type { Delivery } from '../../transport/delivery.js';
import type { HeldMessages } from './held-messages.js';
import type { OverdueHandlers } from './overdue-handlers.js';
import type { Schedule } from '../schedule/schedule.js';
import type { Work } from './work.js';

interface OverdueSlotParts {
  readonly overdue: OverdueHandlers;
  readonly running: ReadonlyMap<Delivery, Work>;
  readonly schedule: Schedule<Delivery>;
  readonly held: HeldMessages | undefined;
  /** Somebody may have his turn now. */
  readonly next: () => void;
}

/** The slots of calls that run on past their timeout: each is kept until its call ends, or its grace does. */
export class OverdueSlots {
  constructor(private readonly parts: OverdueSlotParts) {}

  runOn(call: Promise<unknown>, context: MessageContext): void {
    const { running, overdue, next } = this.parts;
    const work = [...running.values()].find((one) => one.context === context);
    if (work) work.overdue++;
    overdue.add(call, () => {
      if (work && --work.overdue === 0) this.slotFree(work);
      next();
    });
  }

  private slotFree(work: Work): void {
    const { running, schedule, held } = this.parts;
    const { delivery } = work;
    if (!running.has(delivery)) schedule.end(delivery);
    else if (held?.has(work)) {
      schedule.hold?.(delivery);
      if (held.isDue(work)) schedule.ready?.(delivery);
    }
  }
}
