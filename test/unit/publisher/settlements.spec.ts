import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageExpiredError } from '../../../lib/errors/publish-errors.js';
import { diskRetryQueue } from '../../../lib/publisher/disk-retry-queue.js';
import { memoryRetryQueue } from '../../../lib/publisher/memory-retry-queue.js';
import type { RetryQueueStore } from '../../../lib/publisher/retry-queue-store.js';
import { QueuedResults } from '../../../lib/publisher/queued-results.js';
import { start } from '../support/application.js';
import { confirmed } from '../support/fake-transport.js';

const directory = mkdtempSync(join(tmpdir(), 'settlements-'));
afterAll(() => rmSync(directory, { recursive: true }));

const stores = { memory: () => memoryRetryQueue(), disk: () => diskRetryQueue({ directory }) };

describe.each(['memory', 'disk'] as const)('what became of a message that was queued in %s, asked for late', (kind) => {
  test('is the truth, also after its dead letter was deleted', async () => {
    const app = await start({ retryQueue: { store: stores[kind]() } });
    app.transport.disconnected();
    const publish = (id: string, ttl?: number) =>
      app.publisher.publish('order.created', {}, { id, ...(ttl && { ttl }) });
    const queuing = Promise.all([publish('sent'), publish('deleted', 500), publish('kept', 500)]);
    await app.turn();
    const [sent, deleted, kept] = await queuing;
    // More than a store of dead letters in memory holds.
    const more = Promise.all(Array.from({ length: 1_200 }, (_, n) => publish(`more-${n}`, 500)));
    await app.turn();
    const others = await more;
    await app.clock.advance(2_000);
    await app.messaging.deadLetters.delete({ ids: ['deleted', ...others.map(({ id }) => id)] });
    app.transport.answer = () => confirmed;
    app.transport.connected();
    app.transport.settleAll(confirmed);
    await app.clock.advance(2_000);
    const expired = { outcome: 'rejected', error: { code: 'MESSAGE_EXPIRED', name: 'MessageExpiredError' } };
    expect(await sent.settled).toEqual({ id: 'sent', outcome: 'confirmed' });
    expect(await deleted.settled).toMatchObject({ id: 'deleted', ...expired });
    expect(await kept.settled).toMatchObject({ id: 'kept', ...expired });
    for (const { settled } of others) expect(await settled).toMatchObject(expired);
    const closing = app.messaging.close();
    await app.clock.advance(20_000);
    await closing;
  });
});

describe('where more was given up than is remembered', () => {
  const gone = { find: () => 'gone' } as unknown as RetryQueueStore;

  test('nobody is told that his message was sent who cannot know', async () => {
    const settlements = new QueuedResults(gone, 2);
    for (const seq of [3, 5, 7])
      settlements.settle(seq, { id: `m${seq}`, outcome: 'rejected', error: new MessageExpiredError('too late') });
    const code = async (seq: number): Promise<string> => {
      const settlement = await settlements.of(seq, `m${seq}`);
      return settlement.outcome === 'confirmed' ? 'confirmed' : settlement.error.code;
    };
    expect(await Promise.all([2, 3, 4, 5, 6, 7].map(code))).toEqual([
      'SETTLEMENT_UNKNOWN',
      'SETTLEMENT_UNKNOWN',
      'confirmed',
      'MESSAGE_EXPIRED',
      'confirmed',
      'MESSAGE_EXPIRED',
    ]);
  });
});
