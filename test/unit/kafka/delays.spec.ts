import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { KafkaLink, MemberHandlers, OutgoingRecord } from '../../../lib/transports/kafka/client-port.js';
import { delayed } from '../../../lib/transports/kafka/delayed.js';
import { type DelayParts, DelaySession } from '../../../lib/transports/kafka/delays.js';
import { Names } from '../../../lib/transports/kafka/names.js';
import type { Sending } from '../../../lib/transports/kafka/publisher.js';
import { CONFIRMED } from '../../../lib/transport/outgoing.js';
import { record } from './records.js';

const names = new Names('events');
const HOUR_MS = 3_600_000;

/** What is sent on of a level that holds these. */
async function sentOn(now: number, waiting: readonly OutgoingRecord[]): Promise<{ sent: string[]; held: number[] }> {
  const sent: string[] = [];
  const held: number[] = [];
  const publisher = {
    send: ({ record: { topic, value }, tell }: Sending) => {
      sent.push(`${value.toString()} to ${topic}`);
      tell(CONFIRMED);
    },
  };
  let handlers!: MemberHandlers;
  const member = { commit: async () => {}, holdAt: ({ offset }: { offset: number }) => held.push(offset) };
  const client = { join: async (_: object, given: MemberHandlers) => ((handlers = given), member) };
  const parts = { names, environment: { clock: new ManualClock(now) }, publisher, undeliverable: { isEmpty: true } };
  const session = new DelaySession(client as unknown as KafkaLink, [], parts as unknown as DelayParts);
  await session.consume();
  const from = { topic: waiting[0].topic, partition: 0 };
  handlers.assigned([from], true);
  const records = waiting.map((one, offset) => record(offset, { ...one, ...from, key: null }));
  await handlers.records(from, records, records.length);
  return { sent, held };
}

const waits = (name: string, dueAt: number, now: number): OutgoingRecord => {
  const value = Buffer.from(name);
  return delayed({ topic: 'events', key: null, value, headers: {} }, { dueAt, optional: false }, now, names);
};

describe('what waits', () => {
  it('holds up nothing behind it when the clock of its publisher is ahead', async () => {
    const now = 10_000;
    const wrong = waits('wrong', now + HOUR_MS + 2_000, now + HOUR_MS);
    const right = waits('right', now, now - 1_000);
    const late = waits('late', now + 500, now - 500);
    expect(await sentOn(now, [wrong, right, late])).toEqual({
      sent: ['wrong to events.delay.1024000', 'right to events'],
      held: [2],
    });
  });

  it('in the last level does so in its turn', async () => {
    const days = 30 * 24 * HOUR_MS;
    expect(await sentOn(10_000, [waits('long', 10_000 + days, 10_000)])).toEqual({ sent: [], held: [0] });
  });
});
