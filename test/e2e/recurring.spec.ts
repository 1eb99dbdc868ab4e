import { afterEach, describe, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { message, MessageContext, MessagingModule, type MessagingModuleOptions, Subscribe } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { Recurring, type RecurringFire, type RecurringOptions } from 'nestjs-messaging/recurring';
import { memoryCoordinationStore } from 'nestjs-messaging/stores';
import { ManualClock } from 'nestjs-messaging/testing';
import { boot, closeApplications, Seen } from './support/application.js';

interface Report {
  readonly day: string;
}

const report = message<Report>('report.due');
const clocked = (): ManualClock => new ManualClock(Date.UTC(2030, 0, 1));

afterEach(closeApplications);

/** A provider whose method recurs. */
function reports(cron: string, options?: RecurringOptions): { new (): object } {
  @Injectable()
  class Reports {
    @Recurring(cron, report, options)
    due({ at }: RecurringFire): Report {
      return { day: at.toISOString().slice(0, 10) };
    }
  }
  return Reports;
}

const metadata = (
  provider: { new (): object },
  options: MessagingModuleOptions = {},
): { imports: any[]; providers: any[] } => ({
  imports: [MessagingModule.forRoot({ service: 'reports', ...options })],
  providers: [provider],
});

describe('@Recurring', () => {
  test('publishes what the method returns at its times, under an id that says for which', async () => {
    const seen = new Seen<[Report, string]>();
    const clock = clocked();
    @Injectable()
    class Writer {
      @Subscribe(report, { idempotent: true })
      write(body: Report, { id }: MessageContext): void {
        seen.add([body, id]);
      }
    }
    const { imports, providers } = metadata(reports('0 3 * * *', { timeZone: 'Europe/Berlin', name: 'nightly' }), {
      clock,
    });
    const { log } = await boot({ imports, providers: [...providers, Writer] });
    await clock.advance(2 * 86_400_000);
    expect(await seen.until(2)).toEqual([
      [{ day: '2030-01-01' }, 'reports:nightly:2030-01-01T02:00:00.000Z'],
      [{ day: '2030-01-02' }, 'reports:nightly:2030-01-02T02:00:00.000Z'],
    ]);
    expect(log.lines.join('\n')).toContain('Recurring «nightly»: «0 3 * * *» in Europe/Berlin, made by Reports.due');
  });

  test('publishes in a process that consumes nothing, too', async () => {
    const clock = clocked();
    const { messaging } = await boot(metadata(reports('* * * * *'), { clock, consume: false, unroutable: 'ignore' }));
    const published: string[] = [];
    messaging.events.on('published', ({ id }) => void published.push(id));
    await clock.advance(60_000);
    expect(published).toEqual(['reports:report.due:2030-01-01T00:01:00.000Z']);
  });

  test('that nobody takes is told and tried again, not lost', async () => {
    const clock = clocked();
    const { log, messaging } = await boot(metadata(reports('0 * * * *'), { clock }));
    await clock.advance(3_605_000);
    expect(log.lines.join('\n')).toMatch(
      /Recurring «report\.due» \(Reports\.due\) failed, and is tried again in 1000 ms/,
    );
    const seen = new Seen<Report>();
    await messaging.subscribe({ route: report }, (body) => seen.add(body));
    await clock.advance(60_000);
    expect(await seen.until(1)).toEqual([{ day: '2030-01-01' }]);
  });

  test.each<[string, RecurringOptions | undefined, MessagingModuleOptions, RegExp]>([
    ['61 * * * *', {}, {}, /Reports\.due: .*Recurring\.cron.*minute/s],
    ['0 0 30 2 *', {}, {}, /Recurring\.cron.*still to come/s],
    ['0 3 * * *', { timeZone: 'Berlin' }, {}, /Recurring\.timeZone.*Europe\/Berlin/s],
    [
      '0 3 * * *',
      {},
      { transport: rabbitmq({ url: 'amqp://127.0.0.1:1' }) },
      /«coordination».*a store that all processes share.*memoryCoordinationStore\(\).*@Recurring needs it/s,
    ],
    ['0 3 * * *', { connection: 'other' }, {}, /connection «other»/],
  ])('%s with %j is refused at boot, with the remedy', async (cron, options, own, expected) => {
    await expect(boot(metadata(reports(cron, options), own))).rejects.toThrow(expected);
  });

  test('twice for one name is refused with both places', async () => {
    const { imports, providers } = metadata(reports('0 3 * * *'));
    await expect(boot({ imports, providers: [...providers, reports('0 4 * * *')] })).rejects.toThrow(
      /Reports\.due and Reports\.due both have @Recurring for «report\.due»: give one of them another «name»/,
    );
  });

  test.each<[unknown, unknown, RegExp]>([
    ['daily', {}, /'0 3 \* \* \*'/],
    [5, {}, /Recurring\.cron/],
    ['0 3 * * *', { missed: 'none' }, /'skip' \| 'once' \| 'all'/],
    ['0 3 * * *', { zone: 'UTC' }, /zone/],
    ['0 3 * * *', { name: 'a:b' }, /Recurring\.name/],
    ['0 3 * * *', { name: 'x'.repeat(101) }, /100 bytes/],
  ])('of %j with %j is refused where it is written', (cron, options, expected) => {
    expect(() => Recurring(cron as string, 'report.due', options as RecurringOptions)).toThrow(expected);
  });

  test('a pattern is no route to publish on, and a coordination that is none is named', () => {
    expect(() => Recurring('0 3 * * *', 'report.*')).toThrow(/without wildcards/);
    expect(() => MessagingModule.forRoot({ coordination: {} as never })).toThrow(/«coordination»/);
    expect(() => MessagingModule.forRoot({ coordination: memoryCoordinationStore() })).not.toThrow();
  });
});
