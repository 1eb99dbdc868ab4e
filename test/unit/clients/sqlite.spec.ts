import { afterEach, expect, jest, test } from '@jest/globals';
import { MessagingModule, diskRetryQueue } from 'nestjs-messaging';
import { loadSqlite } from '../../../lib/clients/sqlite.js';
import { DurableQueue } from '../../../lib/durable-queue/durable-queue.js';
import { ManualClock } from '../../../lib/clock/manual-clock.js';

jest.mock('@photostructure/sqlite', () => {
  throw Object.assign(new Error("Cannot find module '@photostructure/sqlite'"), { code: 'MODULE_NOT_FOUND' });
});

const { getBuiltinModule } = process as { getBuiltinModule?: unknown };

function withoutBuiltIn(): void {
  Object.assign(process, { getBuiltinModule: () => undefined });
}

afterEach(() => void Object.assign(process, { getBuiltinModule }));

test('where there is no SQLite, the error names who needs it and what to install', async () => {
  withoutBuiltIn();
  await expect(loadSqlite('diskRetryQueue()')).rejects.toMatchObject({
    name: 'MissingPeerError',
    message: expect.stringMatching(/diskRetryQueue\(\).*@photostructure\/sqlite/s),
  });
});

test('a queue on disk without SQLite fails when it is opened, not when it is configured', async () => {
  withoutBuiltIn();
  expect(
    MessagingModule.forRoot({ service: 's', retryQueue: { store: diskRetryQueue({ directory: 'nowhere' }) } }),
  ).toBeDefined();
  const log = { log() {}, warn() {}, error() {} };
  const queue = new DurableQueue(
    {
      directory: 'nowhere',
      directoryOption: 'directory',
      neededBy: 'the test',
      adoptInterval: 1_000,
      destination: { name: 'test' },
    },
    new ManualClock(),
    { log, adopted() {}, failed() {} },
  );
  await expect(queue.open()).rejects.toMatchObject({ name: 'MissingPeerError' });
  queue.close();
});
