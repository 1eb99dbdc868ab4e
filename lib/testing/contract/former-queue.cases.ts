import assert from 'node:assert/strict';
import type { CancelTimer, Clock, TimerOptions } from '../../clock/clock.js';
import type { CaseDefinition } from './case.js';
import type { Client } from './client.js';

/** On which a minute, give or take a fifth of it, is over when the case says so. */
class Minutes implements Clock {
  private due: (() => void)[] = [];

  constructor(private readonly clock: Clock) {}

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  after(delayMs: number, callback: () => void, options?: TimerOptions): CancelTimer {
    if (delayMs < 48_000 || delayMs > 72_000) return this.clock.after(delayMs, callback, options);
    this.due.push(callback);
    return () => void (this.due = this.due.filter((one) => one !== callback));
  }

  pass(): void {
    for (const callback of this.due.splice(0)) callback();
  }
}

const told = (client: Client, queue: string): string[] =>
  client.events.flatMap((event) =>
    event.type === 'warning' && event.message.includes(`«${queue}»`) ? [event.message] : [],
  );

/** What an application of a service declared before and declares no more. */
export const formerQueueCases: readonly CaseDefinition[] = [
  {
    name: 'the queue of a subscription that was removed is told once, when it fills and nobody consumes it; it is left alone',
    needs: ['queues', 'bindings'],
    async run(bed) {
      const service = `${bed.id}-service`;
      const connect = async (): Promise<[Client, Minutes]> => {
        const clock = new Minutes(bed.environment.clock);
        return [await bed.connect({ environment: { service, clock } }), clock];
      };
      const [old, kept] = [bed.topology('old', [bed.route('old', '*')]), bed.topology('kept', [bed.route('kept')])];
      const [earlier] = await connect();
      const consumer = await earlier.consume(old);
      await earlier.consume(kept);
      // The broker deletes the queue by itself.
      const gone = bed.topology('gone', [bed.route('gone')], { exclusive: { expiresMs: 300_000 } });
      await (await earlier.consume(gone)).stop();
      await earlier.confirmed(earlier.toRoute(bed.route('gone')));

      const [rolling, soon] = await connect();
      await rolling.consume(kept);
      await consumer.stop();
      await earlier.confirmed(earlier.toRoute(bed.route('old', 'a')), earlier.toRoute(bed.route('old', 'b')));
      await earlier.depthOf(old.queue, 2);
      // Another service has nothing to do with the queue.
      const otherClock = new Minutes(bed.environment.clock);
      const other = await bed.connect({ environment: { service: `${bed.id}-other`, clock: otherClock } });
      await other.consume(bed.topology('others', [bed.route('others')]));
      otherClock.pass();
      soon.pass();
      await bed.eventually(() => told(rolling, old.queue).length === 1, 'a word on the queue');
      assert.match(told(rolling, old.queue)[0], /holds 2 messages, and nobody consumes it/);
      assert.ok(told(rolling, old.queue)[0].includes(bed.route('old', '*')), 'it names what leads there');
      assert.deepEqual(told(rolling, gone.queue), []);
      soon.pass();

      // As in a rolling deployment: a process of the earlier version has the queue.
      const [handling] = await connect();
      await (await handling.consume(old, { prefetch: 1, settle: 'hold' })).next();
      const [next, afterwards] = await connect();
      await next.consume(kept);
      afterwards.pass();
      await bed.pass(300);
      for (const client of [next, other]) assert.deepEqual(told(client, old.queue), []);
      assert.equal(told(rolling, old.queue).length, 1);
    },
  },
];
