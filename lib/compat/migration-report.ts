import { writeFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import { InvalidOptionError, UnsupportedError } from '../errors/configuration-errors.js';

/**
 * Where it is told what behaves otherwise than in the package that is stood in for: `'warn'`, the log, a line each;
 * `'error'`, the boot is refused with all of them; else the path of a file, a list to tick off.
 */
export type ReportTarget = 'warn' | 'error' | (string & {});

/** What behaves otherwise than in the package that is stood in for: the list of what is left to do. Each is told once. */
export class MigrationReport {
  private readonly lines = new Set<string>();

  /** `from`: the package. @throws InvalidOptionError */
  constructor(
    private readonly from: string,
    private readonly target: ReportTarget = 'warn',
  ) {
    if (typeof target !== 'string' || target === '')
      throw new InvalidOptionError('report', target, `'warn', 'error' or the path of a file`);
  }

  get entries(): readonly string[] {
    return [...this.lines];
  }

  /** `where`: the class and method, or the module's options; `difference`: what is done instead, and what helps. */
  differs(where: string, option: string, difference: string): void {
    this.lines.add(`${where}: ${option}: ${difference}`);
  }

  /** To be called once all is read. @throws UnsupportedError with `'error'`, where there is anything to tell */
  tell(): void {
    const { from, target, entries } = this;
    const left = `${entries.length} left to do of the migration from ${from}`;
    if (target === 'error') {
      if (entries.length > 0) throw new UnsupportedError([`${left}:`, ...entries].join('\n- '));
    } else if (target === 'warn') {
      const logger = new Logger('MigrationReport');
      for (const entry of entries) logger.warn(entry);
    } else {
      writeFileSync(target, [`# ${left}\n`, ...entries.map((entry) => `- [ ] ${entry}`), ''].join('\n'));
    }
  }
}
