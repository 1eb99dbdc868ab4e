import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { temporaryDirectory } from './support/queue.js';

/** Runs a script with a file system of 2 MB that nobody else sees. */
function onSmallDisk(script: string): string | undefined {
  const mount = temporaryDirectory();
  const inside = 'mount -t tmpfs -o size=2m,mode=700 none "$0" && exec "$@"';
  try {
    execFileSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs none "$0"', mount], { stdio: 'ignore' });
  } catch {
    console.warn('SKIPPED: no file system can be mounted here');
    return undefined;
  }
  const args = ['-m', 'sh', '-c', inside, mount, process.execPath, join(__dirname, 'processes', script), mount];
  return execFileSync('unshare', args, { encoding: 'utf8', timeout: 25_000 });
}

test('a full disk refuses what it cannot keep, half accepts nothing, sends nothing twice, and works again by itself', () => {
  const output = onSmallDisk('full-disk.mjs');
  if (output === undefined) return;
  const { kept, full, again, recovered, survived, lines } = JSON.parse(output);
  expect(kept).toBeGreaterThan(20);
  expect(full).toEqual({ code: 'RETRY_QUEUE_STORE', cause: 'database or disk is full', depth: kept, healthy: false });
  expect(again).toBe('m10');
  expect(recovered).toEqual({ after: 'after', depth: kept - 10 + 1, healthy: true });
  expect(survived).toBe(kept - 10 + 1);
  expect(lines).toEqual([expect.stringContaining('disk is full'), expect.stringContaining('works again')]);
});

test('messages whose predecessor of the same key could not be deleted are sent when the disk has room again, without a restart or new traffic', () => {
  const output = onSmallDisk('keys-on-full-disk.mjs');
  if (output === undefined) return;
  expect(JSON.parse(output)).toEqual({
    before: ['k1'],
    successor: 'k2',
    full: { seen: [], healthy: false },
    freed: { seen: ['k2'], healthy: true },
  });
});

test('a process starts on a disk that cannot be written, refuses what has to wait, and finds everything when it can be', () => {
  const output = onSmallDisk('read-only-disk.mjs');
  if (output === undefined) return;
  expect(JSON.parse(output)).toEqual({
    missing: 'RETRY_QUEUE_STORE',
    readOnly: { boots: true, append: 'RETRY_QUEUE_STORE', healthy: false },
    writable: { append: 'kept', healthy: true, ids: ['before', 'after'] },
  });
});

test('an application boots on a full disk, refuses what has to wait, keeps what a dead process left, and recovers by itself', () => {
  const output = onSmallDisk('boot-on-full-disk.mjs');
  if (output === undefined) return;
  const full = { refused: 'RETRY_QUEUE_STORE', healthy: false, quarantined: 0 };
  expect(JSON.parse(output)).toEqual({
    killed: 'queued disk',
    new: { ...full, depth: 0 },
    left: { ...full, depth: 1 },
    freed: { published: 'queued disk', depth: 2, healthy: true, quarantined: 0 },
    again: { depth: 2, healthy: true, quarantined: 0, setAside: false },
  });
});
