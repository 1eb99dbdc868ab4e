import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { runInThisContext } from 'node:vm';
import { describe, expect, jest, test } from '@jest/globals';
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

describe('what is told of a method says where it is written', () => {
  const lineOf = (where: string, method: object): string => {
    const report = new MigrationReport('the other package', 'error');
    report.knows(where, method);
    report.differs(where, 'errorBehavior', 'retried');
    report.differs('forRoot', 'name', 'another word');
    expect(() => report.tell()).toThrow(/^(?:.*\n)*- forRoot: name: another word$/);
    return report.entries[0];
  };

  test('by file and line', () => {
    class Orders {
      created(): void {}
    }
    expect(lineOf('Orders.created', Orders.prototype.created)).toMatch(
      /^Orders\.created: errorBehavior: retried \(test\/unit\/compat\/migration-report\.spec\.ts:\d+\)$/,
    );
  });

  test('as the source has it where there is a source map, and as it is run where there is none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'report-'));
    const file = join(folder, 'dist', 'orders.js');
    mkdirSync(join(folder, 'dist'));
    const made = (): object => runInThisContext('\n\n(function created() {})', { filename: file }) as object;
    expect(lineOf('created', made())).toContain(`(${relative(process.cwd(), file)}:3)`);
    // The third line of the compiled file is the sixth of the source.
    const map = { version: 3, sources: ['../src/orders.ts'], names: [], mappings: ';;AAKA' };
    writeFileSync(`${file}.map`, JSON.stringify(map));
    expect(lineOf('created', made())).toContain(`(${relative(process.cwd(), join(folder, 'src/orders.ts'))}:6)`);
    rmSync(folder, { recursive: true });
  });

  test('not where the engine cannot tell: what is no function', () => {
    expect(lineOf('Orders.created', {})).toBe('Orders.created: errorBehavior: retried');
  });
});
