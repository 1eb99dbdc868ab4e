import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { PublishFailedError, UnroutableError } from '../../../lib/errors/publish-errors.js';
import type { WireMessage } from '../../../lib/message/message.js';
import type { Delivery } from '../../../lib/transport/delivery.js';
import type { Outgoing, PublishResult } from '../../../lib/transport/outgoing.js';
import type { TransportEnvironment, TransportEvent } from '../../../lib/transport/transport.js';
import { Forwarder } from '../../../lib/transports/kit/forwarder.js';

/** Forwards to a broker whose answer is given by the test. */
class Scripted extends Forwarder<string> {
  readonly done: string[] = [];
  result: PublishResult = { status: 'confirmed' };

  delivery(delivery: Delivery): void {
    this.forwarded(delivery, delivery.message.id, { message: delivery.message } as Outgoing, this.result);
  }

  protected again(): void {
    this.done.push('again');
  }
}

function due(): { forwarder: Scripted; comes: () => string[]; warnings: string[] } {
  const warnings: string[] = [];
  const onEvent = (event: TransportEvent): void => void (event.type === 'warning' && warnings.push(event.message));
  const forwarder = new Scripted({ clock: new ManualClock(), onEvent } as unknown as TransportEnvironment);
  const delivery = {
    message: { id: '1', route: 'r', headers: {} } as unknown as WireMessage,
    ack: () => forwarder.done.push('ack'),
    release: (delayMs: number) => forwarder.done.push(`release ${delayMs}`),
  } as unknown as Delivery;
  const comes = (): string[] => {
    forwarder.done.length = 0;
    forwarder.delivery(delivery);
    return [...forwarder.done];
  };
  return { forwarder, comes, warnings };
}

const unroutable: PublishResult = { status: 'unroutable', error: new UnroutableError('No queue is bound') };

it('what was sent on is acked', () => {
  const { forwarder, comes } = due();
  expect(comes()).toEqual(['ack']);
  expect(forwarder.undeliverable.count).toBe(0);
});

it('what nobody takes goes round, is told once and counted until somebody takes it', () => {
  const { forwarder, comes, warnings } = due();
  forwarder.result = unroutable;
  expect([comes(), comes()]).toEqual([['again'], ['again']]);
  expect(forwarder.undeliverable.count).toBe(1);
  expect(warnings).toEqual([expect.stringContaining('is due, but no queue is bound')]);
  forwarder.result = { status: 'confirmed' };
  expect(comes()).toEqual(['ack']);
  expect(forwarder.undeliverable.count).toBe(0);
});

it('what failed comes back after a moment, and after growing pauses where the broker declined it', () => {
  const { forwarder, comes } = due();
  const error = new PublishFailedError('nobody knows');
  forwarder.result = { status: 'failed', error };
  expect(comes()).toEqual(['release 1000']);
  expect(forwarder.undeliverable.count).toBe(0);
  forwarder.result = { status: 'failed', error, nacked: true };
  expect(comes()).toEqual(['again']);
});
