import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Module } from '@nestjs/common';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications, Seen } from '../e2e/support/application.js';
import { Markdown } from './markdown.js';
import { scratchFolder } from './type-check.js';

const doc = Markdown.read('docs/transactional-send.md');
const write = scratchFolder('transactional-send');
const folder = mkdtempSync(join(tmpdir(), 'transactional-send-'));
const example = doc.blocks('ts')[0].code.replace('./transactions.sqlite', join(folder, 'transactions.sqlite'));
const file = write('orders.ts', example);

let parts: any;
beforeAll(async () => {
  parts = await import(file);
});
afterEach(closeApplications);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('docs/transactional-send.md', () => {
  test('has the guarantee in its first sentence', () => {
    const [, first] = doc.text.split('\n\n');
    expect(first).toMatch(/^A message of `publishInTransaction` is sent if its local transaction commits/);
  });

  test('its example sends what commits, also where the answer to the commit is lost, and nothing else', async () => {
    const rows = new Map<string, object>();
    let how: 'commits' | 'loses the answer' | 'rolls back' = 'commits';
    const database = {
      async transaction(work: (insert: (table: string, row: any) => Promise<void>) => Promise<void>): Promise<void> {
        const written: [string, object][] = [];
        await work(async (table, row) => void written.push([`${table}:${String(row.id ?? row.item)}`, row]));
        if (how === 'rolls back') throw new Error('serialization failure');
        for (const [key, row] of written) rows.set(key, row);
        if (how === 'loses the answer') throw new Error('connection reset');
      },
      has: async (table: string, id: string) => rows.has(`${table}:${id}`),
    };
    @Module({ imports: [parts.messaging], providers: [parts.Orders, { provide: parts.Database, useValue: database }] })
    class OrdersModule {}
    const { messaging, get } = await boot({ imports: [OrdersModule] });
    const seen = new Seen<string>();
    await messaging.subscribe({ route: 'order.created' }, ({ item }: any) => seen.add(item));
    const orders = get<any>(parts.Orders);
    await orders.create({ item: 'book' });
    how = 'loses the answer';
    await orders.create({ item: 'lamp' });
    how = 'rolls back';
    await expect(orders.create({ item: 'chair' })).rejects.toThrow('serialization failure');
    expect((await seen.until(2)).sort()).toEqual(['book', 'lamp']);
    await waitFor(
      async () => (await messaging.transactions.list()).length === 1,
      'the record that is asked about again',
    );
    expect(seen.all).toHaveLength(2);
  });
});
