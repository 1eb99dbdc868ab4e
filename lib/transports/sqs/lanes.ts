import { header, integerHeader } from '../../message/headers.js';
import type { Outgoing } from '../../transport/outgoing.js';
import type { SqsDelivery } from './delivery.js';

/** The messages of each group that a consumer of a FIFO queue has: the first is being handled, the others wait for it. */
export class Lanes {
  private readonly lanes = new Map<string, SqsDelivery[]>();

  /** Whether it is the first of its group, and can be handled. */
  add(delivery: SqsDelivery): boolean {
    const lane = this.lanes.get(delivery.group);
    if (!lane) this.lanes.set(delivery.group, [delivery]);
    else lane.push(delivery);
    return !lane;
  }

  /** The first of its group is done with. The next, if there is one. */
  next(delivery: SqsDelivery): SqsDelivery | undefined {
    const lane = this.lanes.get(delivery.group);
    if (lane?.[0] !== delivery) return undefined;
    lane.shift();
    if (lane.length === 0) this.lanes.delete(delivery.group);
    return lane[0];
  }

  /** The first of its group comes once more. */
  again(delivery: SqsDelivery, replacement: SqsDelivery): void {
    this.lanes.get(delivery.group)?.splice(0, 1, replacement);
  }

  /** Those behind it, which are taken out of the lane: they must not be handled before it. */
  behind(delivery: SqsDelivery): SqsDelivery[] {
    const lane = this.lanes.get(delivery.group);
    const at = lane?.indexOf(delivery) ?? -1;
    if (!lane || at < 0) return [];
    return lane.splice(at + 1);
  }

  /** All that wait for the first of their group. */
  waiting(): SqsDelivery[] {
    return [...this.lanes.values()].flatMap((lane) => lane.splice(1));
  }
}

/** For how long a copy to its own queue puts a message off; undefined: it is a copy in its own right. */
export function putOffFor({ to, message, dueAt }: Outgoing, queue: string, now: number): number | undefined {
  const { headers } = message;
  if (to.kind !== 'queue' || to.queue !== queue || header.suspect in headers) return undefined;
  const due = dueAt ?? integerHeader(headers, header.notBefore, 0, Number.MAX_SAFE_INTEGER) ?? now;
  return Math.max(0, due - now);
}
