import { describe, expect, test } from '@jest/globals';
import type { MessagingModuleOptions } from 'nestjs-messaging';
import type { AlertsOptions, DeadLetterAlert } from 'nestjs-messaging/health';
import { resolveOptions } from '../../../lib/messaging.options.js';
import { type Application, start } from '../support/application.js';
import { DLQ, letter } from '../support/dead-letters.js';

const MINUTE = 60_000;
const START = Date.UTC(2030, 0, 1);

const old = (id: string, ageMs: number): ReturnType<typeof letter> =>
  letter(id, { 'messaging-origin-time': START - ageMs });
const some = (count: number): ReturnType<typeof letter>[] =>
  Array.from({ length: count }, (_, at) => old(`m${at}`, count - at));

class Watched {
  readonly told: string[] = [];

  private constructor(readonly app: Application) {}

  static async begin(alerts: AlertsOptions, letters = some(0), more: MessagingModuleOptions = {}): Promise<Watched> {
    const told: DeadLetterAlert[] = [];
    const app = await start({ alerts: { onAlert: (alert) => void told.push(alert), ...alerts }, ...more });
    const watched = new Watched(app);
    Object.defineProperty(watched, 'alerts', { value: told });
    app.transport.stored.set(DLQ, letters);
    await app.subscribe(() => undefined);
    await app.turn();
    return watched;
  }

  declare readonly alerts: DeadLetterAlert[];

  get states(): string[] {
    return this.alerts.map(({ kind, state }) => `${kind} ${state}`);
  }

  async hold(count: number, ms = MINUTE): Promise<void> {
    this.app.transport.stored.set(DLQ, some(count));
    await this.app.clock.advance(ms);
  }
}

describe('an alert of dead letters', () => {
  test('is raised once when there are more than so many, and cleared when there are not: hook, event, log, health', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 2 } }, some(2));
    const { app } = watched;
    const events = app.record('dead-letter-alert');
    expect(watched.alerts).toEqual([]);
    expect(app.messaging.health()).toMatchObject({ status: 'up', deadLetters: { alerts: [] } });
    await watched.hold(3);
    await watched.hold(5);
    const raised = {
      kind: 'dead-letters',
      state: 'raised',
      message: 'there are 3 dead letters, more than 2',
      count: 3,
      places: [{ place: `«${DLQ}»`, count: 3 }],
    };
    expect(watched.alerts).toEqual([raised]);
    expect(events).toEqual([raised]);
    expect(app.logged('warn')).toContain(`Alert: there are 3 dead letters, more than 2 («${DLQ}»: 3)`);
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      deadLetters: { alerts: ['there are 5 dead letters, more than 2'] },
    });
    await watched.hold(1);
    expect(watched.states).toEqual(['dead-letters raised', 'dead-letters cleared']);
    expect(app.logged('log')).toContain('Alert cleared: it is over that there are 5 dead letters, more than 2');
    expect(app.messaging.health().status).toBe('up');
  });

  test('within a time is about what came, not about what is there', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 2, within: 10 * MINUTE } }, some(50));
    await watched.hold(52);
    expect(watched.alerts).toEqual([]);
    await watched.hold(53);
    expect(watched.alerts).toMatchObject([
      {
        kind: 'dead-letters',
        state: 'raised',
        came: 3,
        count: 53,
        message: expect.stringContaining('have come within'),
      },
    ]);
    await watched.hold(53, 12 * MINUTE);
    expect(watched.states).toEqual(['dead-letters raised', 'dead-letters cleared']);
  });

  test('within a time counts what comes while others are taken away', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 4, within: 10 * MINUTE } }, some(50));
    await watched.hold(0);
    await watched.hold(5);
    expect(watched.states).toEqual(['dead-letters raised']);
  });

  test('within a time is not about what somebody held for a look, however far the number fell, but about what is more', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 4, within: 10 * MINUTE } }, some(50));
    for (const count of [0, 50, 10, 52, 51, 52]) await watched.hold(count);
    expect(watched.alerts).toEqual([]);
    for (const count of [20, 55]) await watched.hold(count);
    expect(watched.alerts).toMatchObject([{ state: 'raised', came: 5, count: 55 }]);
  });

  test('within a time is about what comes after others were gone at two looks, as many as they may be', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 4, within: 10 * MINUTE } }, some(50));
    for (const count of [0, 0, 50]) await watched.hold(count);
    expect(watched.alerts).toMatchObject([{ state: 'raised', came: 50 }]);
  });

  test('within a time is not about a queue that is subscribed to again', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 4, within: 10 * MINUTE } });
    const { app } = watched;
    const other = 'orders:other:dlq';
    app.transport.stored.set(other, some(50));
    for (let times = 0; times < 2; times++) {
      const subscription = await app.messaging.subscribe({ route: 'other' }, () => undefined);
      await app.clock.advance(MINUTE);
      await subscription.stop();
      await app.clock.advance(2 * MINUTE);
    }
    expect(watched.alerts).toEqual([]);
  });

  test('within a time shorter than the pause between two looks counts what came between them', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 2, within: 500 } }, some(50));
    for (const count of [50, 53, 53, 53]) await watched.hold(count, 1_500);
    expect(watched.alerts[0]).toMatchObject({ state: 'raised', came: 3, count: 53 });
    expect(watched.states).toEqual(['dead-letters raised', 'dead-letters cleared']);
  });

  test('with above 0 is raised at the first one', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 0, within: MINUTE } });
    await watched.hold(1);
    expect(watched.states).toEqual(['dead-letters raised']);
  });

  test('counts all places together: the publisher’s own, too', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 2 } }, some(2));
    watched.app.transport.disconnected();
    watched.app.publish('order.created', 1, { id: 'own', ttl: 10 });
    await watched.app.clock.advance(MINUTE);
    expect(watched.alerts).toMatchObject([
      { count: 3, places: [{ count: 2 }, { place: "the publisher's dead letters", count: 1 }] },
    ]);
  });

  test('is neither raised nor cleared by a place that cannot be asked: its last count stands', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 2 } }, some(3));
    const queues = watched.app.transport.queues!;
    const depth = queues.depth.bind(queues);
    queues.depth = () => Promise.reject(new Error('gone'));
    await watched.hold(0);
    expect(watched.states).toEqual(['dead-letters raised']);
    queues.depth = depth;
    await watched.hold(0);
    expect(watched.states).toEqual(['dead-letters raised', 'dead-letters cleared']);
  });
});

describe('an alert of the oldest dead letter', () => {
  test('is raised when one has been there for too long, and cleared when it has gone', async () => {
    const watched = await Watched.begin({ oldest: 10 * MINUTE }, [old('a', 8 * MINUTE), old('b', 0)]);
    expect(watched.alerts).toEqual([]);
    await watched.app.clock.advance(3 * MINUTE);
    expect(watched.alerts).toMatchObject([{ kind: 'oldest-dead-letter', state: 'raised', count: 2 }]);
    expect(watched.alerts[0].oldestAgeMs).toBeGreaterThan(10 * MINUTE);
    watched.app.transport.stored.set(DLQ, [old('b', 0)]);
    await watched.app.clock.advance(2 * MINUTE);
    expect(watched.states).toEqual(['oldest-dead-letter raised', 'oldest-dead-letter cleared']);
  });
});

describe('what an application does with an alert', () => {
  test.each([
    ['throws', () => { throw new Error('no pager'); }], // prettier-ignore
    ['rejects', () => Promise.reject(new Error('no pager'))],
  ])('disturbs nothing when it %s: it is logged', async (_, onAlert) => {
    const watched = await Watched.begin({ deadLetters: { above: 0 }, onAlert }, some(1));
    await watched.app.turn();
    expect(watched.app.logged('error')).toEqual(['alerts.onAlert failed: no pager']);
    expect(watched.app.messaging.health().deadLetters.alerts).toHaveLength(1);
  });

  test('may be nothing: the log tells', async () => {
    const watched = await Watched.begin({ deadLetters: { above: 0 }, onAlert: undefined }, some(1));
    expect(watched.app.logged('warn').join()).toContain('Alert: there are 1 dead letters');
  });
});

describe('options of alerts', () => {
  test.each([
    [{}, 'alerts', 'deadLetters'],
    [{ oldest: 0 }, 'alerts.oldest', 'a number from 1'],
    [{ oldest: '5m' }, 'alerts.oldest', 'a number from 1'],
    [{ deadLetters: {} }, 'alerts.deadLetters.above', 'a whole number from 0'],
    [{ deadLetters: 5 }, 'alerts.deadLetters', 'an object'],
    [{ deadLetters: { above: 1, within: 0 } }, 'alerts.deadLetters.within', 'a number from 1'],
    [{ deadLetters: { above: 1, whitin: 5 } }, 'alerts.deadLetters.whitin', 'within'],
    [{ oldest: 5, onAlert: 'mail' }, 'alerts.onAlert', 'a function of an alert'],
    [{ oldest: 5, on: 1 }, 'alerts.on', 'onAlert'],
  ])('that cannot be meant are refused: %j', (alerts, option, allowed) => {
    expect(() => resolveOptions({ alerts: alerts as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option, allowed: expect.stringContaining(allowed) }),
    );
  });
});
