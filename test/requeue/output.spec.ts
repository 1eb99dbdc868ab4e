import { describe, expect, test } from '@jest/globals';
import { ManualClock } from 'nestjs-messaging/testing';
import { serviceOutput } from '../../lib/cli/service-output.js';
import { LimitedLog } from '../../lib/requeue/limited-log.js';
import type { RequeueHealth } from '../../lib/requeue/requeue-report.js';

const health: RequeueHealth = {
  status: 'up',
  connection: { state: 'connected', since: '', server: '127.0.0.1:4222' },
  store: { healthy: true, depth: 3, deadLetters: 1, adopted: 0, quarantined: 0 },
  inFlight: 2,
  queues: [],
};

function output(isTTY: boolean, columns = 200) {
  const written: string[] = [];
  const clock = new ManualClock();
  const stdout = { isTTY, columns, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream;
  return { written, clock, out: serviceOutput({ stdout, stderr: stdout, env: {} }, clock) };
}

describe('the output of the requeue process', () => {
  test('on a terminal is one line that is refreshed, with log lines above it', () => {
    const { written, out } = output(true);
    const line = 'up · connected 127.0.0.1:4222 · 3 waiting · 2 in flight · 0 delivered · 1 dead letters';
    out.state(health);
    out.warn('careful');
    out.state(health);
    expect(written).toEqual([
      `\r\u001b[2K${line}`,
      `\r\u001b[2K00:00:00 warning: careful\n${line}`,
      `\r\u001b[2K${line}`,
    ]);
  });

  test('is cut to the width of the terminal', () => {
    const { written, out } = output(true, 40);
    out.state(health);
    expect(written[0]).toBe('\r\u001b[2Kup · connected 127.0.0.1:4222 · 3 waiti');
  });

  test('elsewhere is a JSON object per line; the state when it changes, and once a minute', async () => {
    const { written, clock, out } = output(false);
    out.error('over\ntwo lines');
    out.state(health);
    out.state(health);
    out.state({ ...health, status: 'degraded' });
    await clock.advance(60_000);
    out.state({ ...health, status: 'degraded' });
    const records = written.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map(({ level, message, status }) => [level, message, status])).toEqual([
      ['error', 'over\ntwo lines', undefined],
      ['info', 'state', 'up'],
      ['info', 'state', 'degraded'],
      ['info', 'state', 'degraded'],
    ]);
    expect(written.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
  });

  test('a flood of one kind of line is cut, and counted', async () => {
    const clock = new ManualClock();
    const lines: string[] = [];
    const log = new LimitedLog(clock, (line) => lines.push(line));
    for (let at = 0; at < 100; at++) log.write(`refused ${at}`);
    expect(lines).toHaveLength(10);
    await clock.advance(10_000);
    log.write('refused again');
    expect(lines.at(-1)).toBe('refused again (and 90 more like this)');
  });
});
