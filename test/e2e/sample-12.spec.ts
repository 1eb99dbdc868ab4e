import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/12-recurring/guide.js';
import { ReportsModule } from '../../sample/12-recurring/reports.module.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describe('sample 12, a report that is due each second', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sample-12-'));
  let app: INestApplication;
  let lines: string[];

  beforeEach(async () => {
    app = await serve(ReportsModule, { AMQP_URL: undefined, REPORTS_FOLDER: folder });
    lines = curlLines(guide(await app.getUrl()));
  });
  afterEach(() => app.close());
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const reports = async (): Promise<{ written: { id: string; until: string }[]; state: string }> =>
    (await curl(lines[0])).body;

  test('is written once for each second', async () => {
    await waitFor(async () => (await reports()).written.length >= 2, 'two reports');
    const { written } = await reports();
    expect(new Set(written.map(({ id }) => id)).size).toBe(written.length);
    expect(written[0].id).toBe(`reports:report.due:${written[0].until}`);
  });

  test('is paused for all processes, and goes on', async () => {
    expect((await curl(lines[1])).status).toBe(200);
    expect((await reports()).state).toContain('paused in all processes until');
    expect((await curl(lines[2])).status).toBe(200);
    expect((await reports()).state).toBe('consuming');
  });

  test('that is asked for twice is sent once', async () => {
    const [first, second] = [await curl(lines[3]), await curl(lines[3])];
    expect(first).toMatchObject({ status: 202, body: { duplicate: false } });
    expect(second.body).toEqual({ id: first.body.id, duplicate: true });
  });
});
