import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MigrationReport } from '../../../lib/compat/migration-report.js';

function filled(target?: string): MigrationReport {
  const report = new MigrationReport('the other package', target);
  report.differs('Orders.created', 'errorBehavior', 'retried with pauses');
  report.differs('Orders.created', 'errorBehavior', 'retried with pauses');
  report.differs('forRoot', 'name', 'another word');
  return report;
}

test('a line of the log for each, once', () => {
  const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  filled().tell();
  expect(warn.mock.calls.map(([text]) => text)).toEqual([
    'Orders.created: errorBehavior: retried with pauses',
    'forRoot: name: another word',
  ]);
  warn.mockRestore();
});

test("with 'error' all of them refuse the boot, and nothing does not", () => {
  expect(() => filled('error').tell()).toThrow(
    '2 left to do of the migration from the other package:\n- Orders.created: errorBehavior: retried with pauses\n- forRoot: name: another word',
  );
  expect(() => new MigrationReport('the other package', 'error').tell()).not.toThrow();
});

test('a path is a file with a list to tick off, which is emptied when nothing is left', () => {
  const folder = mkdtempSync(join(tmpdir(), 'report-'));
  const path = join(folder, 'left.md');
  filled(path).tell();
  expect(readFileSync(path, 'utf8')).toBe(
    '# 2 left to do of the migration from the other package\n\n- [ ] Orders.created: errorBehavior: retried with pauses\n- [ ] forRoot: name: another word\n',
  );
  new MigrationReport('the other package', path).tell();
  expect(readFileSync(path, 'utf8')).toBe('# 0 left to do of the migration from the other package\n\n');
  rmSync(folder, { recursive: true });
});

test.each(['', 1, true])('%p is no place for a report', (target) => {
  expect(() => new MigrationReport('the other package', target as string)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', option: 'report' }),
  );
});
