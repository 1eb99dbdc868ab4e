import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryIdempotencyStore, partitioned, sqliteIdempotencyStore } from './package.mjs';

/**
 * The options of a subscription that no message can carry: those that are functions or stores. The instant broker sends
 * one message again and again, so keys are counted here; `end` removes what was written.
 */
export function featuresOf({ idempotent, lanes, keys, ordered }) {
  if (ordered) return { options: { concurrency: partitioned() }, end: () => {} };
  if (lanes) return { options: { concurrency: partitioned({ lanes, key: keysInTurn(keys) }) }, end: () => {} };
  if (!idempotent) return { options: {}, end: () => {} };
  const directory = mkdtempSync(join(tmpdir(), 'bench-idempotent-'));
  const stores = {
    memory: () => memoryIdempotencyStore(),
    sqlite: () => sqliteIdempotencyStore({ file: join(directory, 'handled.sqlite') }),
  };
  let number = 0;
  return {
    options: { idempotent: { store: stores[idempotent](), key: () => `message-${number++}` } },
    end: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function keysInTurn(count) {
  const names = Array.from({ length: count }, (_, at) => `customer-${at}`);
  let number = 0;
  return () => names[number++ % count];
}
