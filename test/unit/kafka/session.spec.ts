import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Intake } from '../../../lib/transports/kafka/intake.js';
import type { GroupReader, PartitionRecord } from '../../../lib/transports/kafka/reader.js';
import { QueueSession } from '../../../lib/transports/kafka/session.js';
import type { Delivery } from '../../../lib/transport/delivery.js';
import { record } from './records.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('what is released for a while', () => {
  it('counts as held until it is back', async () => {
    const intake = new Intake('events', 2, { takes: () => true });
    intake.add(
      Array.from({ length: 9 }, (_, offset) => record(offset)),
      9,
    );
    const next = (): PartitionRecord | undefined => {
      const taken = intake.take();
      return taken && { record: taken, intake };
    };
    const reader = { attach: ({ wake }: { wake(): void }) => wake, next, giveBack: (one: PartitionRecord) => intake.giveBack(one.record) }; // prettier-ignore
    const clock = new ManualClock();
    const seen: number[] = [];
    const delivery = (one: Delivery): void => {
      seen.push(seen.length);
      one.release(1_000);
    };
    const handlers = { delivery, lost: () => {}, state: () => {} };
    const session = new QueueSession(reader as unknown as GroupReader, { queue: 'q', queueTopic: 'events.queue.q', prefetch: 3, clock, handlers }); // prettier-ignore
    session.consume();
    session.wake();
    await turn();
    await turn();
    expect(seen).toHaveLength(3);
    await clock.advance(1_000);
    await turn();
    expect(seen).toHaveLength(6);
    expect(intake.size).toBe(6);
  });
});
