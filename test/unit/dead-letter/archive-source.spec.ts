import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { memory } from 'nestjs-messaging';
import { ManualClock } from 'nestjs-messaging/testing';
import { archiveEntry } from '../../../lib/dead-letter/dead-letter-collector.js';
import { ArchiveSource } from '../../../lib/dead-letter/archive-source.js';
import type { Candidate, RedriveLook } from '../../../lib/dead-letter/redrive-source.js';
import type { DeadLetterArchive } from '../../../lib/dead-letter/dead-letter-archive.js';
import { memoryDeadLetterArchive } from '../../../lib/dead-letter/memory-dead-letter-archive.js';
import { openArchiveFile, sqliteDeadLetterArchive } from '../../../lib/dead-letter/sqlite-dead-letter-archive.js';
import { DLQ, letter } from '../support/dead-letters.js';

const folder = mkdtempSync(join(tmpdir(), 'archive-source-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const transport = memory().create();

async function all(look: RedriveLook): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (let one = await look.next(); one; one = await look.next()) found.push(one);
  return found;
}

describe.each(['SQLite', 'memory'])('an archive in %s as the source of a redrive', (kind) => {
  let number = 0;
  let file: string;
  let clock: ManualClock;
  let archive: DeadLetterArchive;
  let source: ArchiveSource;
  const add = (...ids: string[]): Promise<void> =>
    archive.add(ids.map((id) => archiveEntry(DLQ, { ...letter(id), body: Buffer.from(String(++number)) })));

  beforeEach(async () => {
    clock = new ManualClock();
    file = join(folder, String(++number));
    archive = (kind === 'memory' ? memoryDeadLetterArchive() : sqliteDeadLetterArchive({ file })).create({ clock });
    await archive.open?.();
    source = new ArchiveSource({ archive, transport, clock, query: {} });
  });
  afterEach(() => archive.close());

  test('shows what was there when the redrive began, again in each look, and counts what came since', async () => {
    await add(...Array.from({ length: 60 }, (_, at) => `m${at}`));
    const first = await source.look();
    const shown = await all(first);
    expect(shown).toHaveLength(60);
    const held = await first.hold(shown.slice(0, 10));
    await add('m3', 'new');
    await first.remove(held);
    expect(await first.arrived()).toBe(2);
    await first.close();
    const second = await source.look();
    expect((await all(second)).map(({ letter: { id } }) => id)).toEqual(
      Array.from({ length: 50 }, (_, at) => `m${at + 10}`),
    );
    await second.close();
  });

  test('finds the canaries that were archived once more', async () => {
    await add('a', 'b');
    await source.look();
    await add('b', 'c');
    const canaries = ['a', 'b'].map((id) => ({ id, deadLetterQueue: undefined }));
    expect([...(await source.returned(canaries))]).toEqual(['b']);
  });

  test('keeps others from sending what it sends, for as long as that takes, and no longer', async () => {
    await add('a', 'b');
    await archive.allowRetry(
      (await archive.page({}, 0, 10)).map(({ key }) => key),
      true,
    );
    const look = await source.look();
    const [first, second] = await all(look);
    expect(await look.hold([first, second])).toEqual([first, second]);
    const other = await new ArchiveSource({ archive, transport, clock, query: {} }).look();
    for (let second = 0; second < 60; second++) {
      await clock.advance(1_000);
      // The renewal is before this in the line of the file.
      expect(await archive.page({ due: true }, 0, 10)).toEqual([]);
    }
    expect(await other.hold(await all(other))).toEqual([]);
    expect(await archive.delete([(await archive.page({}, 0, 1))[0].key])).toBe(0);
    await look.remove([first]);
    expect((await archive.page({ due: true }, 0, 10)).map(({ message: { id } }) => id)).toEqual(['b']);
    await look.close();
    expect(clock.pending).toBe(0);
  });

  (kind === 'memory' ? test.skip : test)(
    'what a process that died has held can be sent when its lease is over',
    async () => {
      await add('a');
      const dead = await source.look();
      const [a] = await all(dead);
      await dead.hold([a]);
      for (const [lateBy, keys] of [[-1, 0] as const, [0, 1] as const]) {
        const later = new ManualClock(clock.now() + 10_000 + lateBy);
        const own = await openArchiveFile(file, later);
        const look = await new ArchiveSource({ archive: own, transport, clock: later, query: {} }).look();
        expect(await look.hold(await all(look))).toHaveLength(keys);
        await look.close();
        await own.close();
      }
      await dead.close();
    },
  );
});
