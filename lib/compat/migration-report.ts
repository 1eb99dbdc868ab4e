import { writeFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import { InvalidOptionError, UnsupportedError } from '../errors/configuration-errors.js';
import { placesOf } from './function-places.js';

/**
 * Where it is told what behaves otherwise than in the package that is stood in for: `'warn'`, the log, a line each;
 * `'error'`, the boot is refused with all of them; else the path of a file, a list to tick off.
 */
export type ReportTarget = 'warn' | 'error' | (string & {});

/** What behaves otherwise than in the package that is stood in for: the list of what is left to do. Each is told once. */
export class MigrationReport {
  /** Each with the class and method that it is of, or the module's options. */
  private readonly lines = new Map<string, string>();
  private readonly methods = new Map<string, object>();
  private readonly places = new Map<string, string>();
  private isTold = false;

  /** `from`: the package. @throws InvalidOptionError */
  constructor(
    private readonly from: string,
    private readonly target: ReportTarget = 'warn',
  ) {
    if (typeof target !== 'string' || target === '')
      throw new InvalidOptionError('report', target, `'warn', 'error' or the path of a file`);
  }

  get entries(): readonly string[] {
    return [...this.lines.keys()].map((line) => this.located(line));
  }

  /** The method that is meant by `where`: what is told of it says the file and line, where they can be had. */
  knows(where: string, method: object): void {
    this.methods.set(where, method);
  }

  /** `where`: the class and method, or the module's options; `difference`: what is done instead, and what helps. */
  differs(where: string, option: string, difference: string): void {
    const line = `${where}: ${option}: ${difference}`;
    if (this.lines.has(line)) return;
    this.lines.set(line, where);
    if (this.isTold) this.write([line]);
  }

  /** To be called once all is read; what comes later is told at once. @throws UnsupportedError with `'error'`, where there is anything to tell */
  tell(): void {
    this.isTold = true;
    this.locate();
    if (this.target === 'error' && this.lines.size > 0)
      throw new UnsupportedError([`${this.title}:`, ...this.entries].join('\n- '));
    this.write([...this.lines.keys()]);
  }

  private get title(): string {
    return `${this.lines.size} left to do of the migration from ${this.from}`;
  }

  private locate(): void {
    const told = [...new Set(this.lines.values())].filter((where) => this.methods.has(where));
    const found = placesOf(told.map((where) => this.methods.get(where)!));
    for (const [at, where] of told.entries()) if (found[at]) this.places.set(where, found[at]);
  }

  private located(line: string): string {
    const place = this.places.get(this.lines.get(line)!);
    return place === undefined ? line : `${line} (${place})`;
  }

  private write(lines: readonly string[]): void {
    const { target, title, entries } = this;
    if (target !== 'warn' && target !== 'error')
      return writeFileSync(target, [`# ${title}\n`, ...entries.map((entry) => `- [ ] ${entry}`), ''].join('\n'));
    const logger = new Logger('MigrationReport');
    for (const line of lines) logger.warn(this.located(line));
  }
}
