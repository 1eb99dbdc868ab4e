import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEnvironment, TransportEvent } from '../../../lib/transport/transport.js';
import type { Link, Row, Statement } from '../../../lib/transports/postgres/link.js';
import { Upkeep } from '../../../lib/transports/postgres/upkeep.js';

/** A server that takes down what it is asked, and refuses what `refuse` says. */
class FakeLink {
  readonly asked: string[] = [];
  readonly notified: string[] = [];
  vacuums = 0;
  refuse: (text: string) => Error | undefined = () => undefined;
  rows: (text: string) => readonly Row[] = () => [];
  notice?: string;
  readonly pool = { connect: async () => this.client() };

  query = async ({ text }: Statement, values: readonly unknown[] = []): Promise<readonly Row[]> => {
    this.asked.push(text);
    const error = this.refuse(text);
    if (error) throw error;
    if (text.includes('pg_notify(')) this.notified.push(String(values[0]));
    return this.rows(text);
  };

  private client() {
    const events = new EventEmitter();
    return Object.assign(events, {
      query: async (text: string) => {
        if (text.startsWith('vacuum')) this.vacuums++;
        if (this.notice !== undefined) events.emit('notice', { message: this.notice });
      },
      release: () => undefined,
    });
  }
}

const refusal = (code: string): Error =>
  Object.assign(new Error('too many notifications'), { code, severity: 'ERROR' });

describe('what nobody waits for', () => {
  let clock: ManualClock;
  let link: FakeLink;
  let events: TransportEvent[];
  let upkeep: Upkeep;

  beforeEach(() => {
    clock = new ManualClock();
    link = new FakeLink();
    events = [];
    const environment = { clock, onEvent: (event: TransportEvent) => events.push(event) };
    upkeep = new Upkeep({
      schema: 'messaging',
      environment: environment as unknown as TransportEnvironment,
      everyMs: 1_000,
      current: () => link as unknown as Link,
      sweep: async () => undefined,
    });
  });

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const warnings = (): string[] => events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));

  it('a notification goes out at once, and those of the next ten milliseconds together', async () => {
    upkeep.tell([1]);
    for (const queue of [2, 3, 2]) upkeep.tell([queue]);
    expect(link.notified).toEqual(['1']);
    await clock.advance(10);
    expect(link.notified).toEqual(['1', '2 3']);
    await clock.advance(10);
    expect(link.notified).toHaveLength(2);
    upkeep.tell([4]);
    expect(link.notified.at(-1)).toBe('4');
  });

  it('a full queue of notifications is told once, and asked for its usage, which ends that it stays full', async () => {
    link.refuse = (text) => (text.includes('pg_notify(') ? refusal('54000') : undefined);
    for (let time = 0; time < 3; time++) {
      upkeep.tell([1]);
      await turn();
      await clock.advance(10);
    }
    expect(link.asked.filter((text) => text.includes('pg_notification_queue_usage'))).toHaveLength(3);
    expect(warnings()).toEqual([expect.stringMatching(/find what is new when they look.*too many notifications/)]);
    link.refuse = () => undefined;
    upkeep.tell([1]);
    expect(link.notified).toEqual(['1']);
  });

  it('ten thousand rows that are gone are worth a VACUUM at once; fewer are after a minute, none are not', async () => {
    upkeep.start();
    upkeep.gone(9_999);
    await turn();
    expect(link.vacuums).toBe(0);
    upkeep.gone(1);
    await turn();
    expect(link.vacuums).toBe(1);
    for (let second = 0; second < 120; second++) {
      await clock.advance(1_000);
      await turn();
    }
    expect(link.vacuums).toBe(1);
    upkeep.gone(1);
    for (let second = 0; second < 61; second++) {
      await clock.advance(1_000);
      await turn();
    }
    expect(link.vacuums).toBe(2);
    upkeep.stop();
  });

  it('who may not run VACUUM is told so once', async () => {
    link.notice = 'permission denied to vacuum "messages", skipping it';
    for (let time = 0; time < 2; time++) {
      upkeep.gone(10_000);
      await turn();
    }
    expect(warnings()).toEqual([expect.stringMatching(/left to autovacuum: permission denied/)]);
  });

  it('a transaction that keeps what is removed on the disk is named, once', async () => {
    link.rows = (text) => (text.includes('pg_stat_activity') ? [['the transaction of process 7 (psql)', 61]] : []);
    for (let time = 0; time < 2; time++) {
      upkeep.gone(10_000);
      await turn();
    }
    expect(warnings()).toEqual([
      'What is removed from the queues stays on the disk while the transaction of process 7 (psql) is open, since 61 s',
    ]);
  });
});
