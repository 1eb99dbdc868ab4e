import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Sqlite } from '../clients/sqlite.js';
import type { QueueDirectory } from './queue-directory.js';
import { QueueFile } from './queue-file.js';
import type { QueueLog } from './queue-observer.js';

/** The sender of what is in a file, and where to. */
export interface Destination {
  /** One line without credentials: written into each file, and as a hash into its name. */
  readonly name: string;
  /** Whether the files of another destination are taken over as well. Default: none is. */
  readonly accepts?: (name: string) => boolean;
}

/** Files of one other destination in the directory: they are left alone. */
export interface OtherFiles {
  /** Undefined where the files do not say it. */
  readonly destination: string | undefined;
  readonly files: number;
  readonly messages: number;
  /** False: no process that could send some of these is alive. */
  readonly running: boolean;
}

/** The part of a file's name that stands for its destination. */
export function tagOf(destination: string): string {
  return createHash('sha256').update(destination).digest('hex').slice(0, 12);
}

/** Tells the files of one destination from those of others in the same directory, which are only read. */
export class FileDestinations {
  /** The destination of each file that was looked at; it never changes. */
  private readonly known = new Map<string, string>();
  private readonly tag: string;
  private told = '';
  /** What was there at the last look. */
  others: readonly OtherFiles[] = [];

  constructor(
    private readonly sqlite: Sqlite,
    private readonly directory: QueueDirectory,
    readonly own: Destination,
    private readonly log: QueueLog,
  ) {
    this.tag = tagOf(own.name);
  }

  /** Files that may be taken over, whoever owns them. */
  ours(): string[] {
    const names = this.directory.names();
    const foreign = names.some((name) => !this.isOurs(name) && (tagIn(name) ?? this.read(name)) !== undefined);
    // A file of an earlier version does not say whose it is. Where nobody else has files it can only be ours.
    return names.filter((name) => this.isOurs(name) || (!foreign && this.isUnnamed(name)));
  }

  /** Files that this process may go on with as its own. */
  toOpen(): string[] {
    return this.ours().filter(
      (name) => tagIn(name) === this.tag || (tagIn(name) === undefined && this.isOwnText(name)),
    );
  }

  /** Looks at the files that are left alone. */
  look(): void {
    const ours = new Set(this.ours());
    const others = new Map<string, { -readonly [Name in keyof OtherFiles]: OtherFiles[Name] }>();
    for (const name of this.directory.names()) {
      if (ours.has(name)) continue;
      const messages = this.messagesIn(name);
      if (messages === 0) continue;
      const destination = this.read(name);
      const key = destination ?? tagIn(name) ?? '';
      const one = others.get(key) ?? { destination, files: 0, messages: 0, running: true };
      one.files++;
      one.messages += messages;
      one.running &&= this.directory.isOwned(name);
      others.set(key, one);
    }
    this.others = [...others.values()];
    this.tell();
  }

  private isOurs(name: string): boolean {
    if (tagIn(name) === this.tag) return true;
    const text = this.read(name);
    return text !== undefined && (text === this.own.name || this.own.accepts?.(text) === true);
  }

  private isUnnamed(name: string): boolean {
    return tagIn(name) === undefined && this.read(name) === undefined;
  }

  private isOwnText(name: string): boolean {
    const text = this.read(name);
    return text === undefined || text === this.own.name;
  }

  /** What a file says; undefined where it says nothing or cannot be read. */
  private read(name: string): string | undefined {
    const known = this.known.get(name);
    if (known !== undefined) return known;
    const text = this.reading(name, (file) => file.destination.name());
    if (text !== undefined) this.known.set(name, text);
    return text;
  }

  /** How many messages and dead letters; 1 where that cannot be told. */
  private messagesIn(name: string): number {
    const count = this.reading(name, (file) =>
      [...file.totals().values()].reduce((sum, { depth, dead }) => sum + depth + dead, 0),
    );
    return count ?? 1;
  }

  private reading<T>(name: string, work: (file: QueueFile) => T): T | undefined {
    const path = this.directory.filePath(name);
    let file: QueueFile | undefined;
    try {
      if (existsSync(path)) file = QueueFile.read(this.sqlite, path);
      return file && work(file);
    } catch {
      // The file is damaged or none of ours: whoever it belongs to sees to it.
      return undefined;
    } finally {
      file?.close();
    }
  }

  private tell(): void {
    const stuck = this.others
      .filter(({ running }) => !running)
      .map(({ destination, files, messages }) => {
        const whose = destination === undefined ? 'that do not say where to' : `for «${destination}»`;
        return `${messages} messages in ${files} files ${whose}`;
      });
    const text = stuck.join(', ');
    if (text !== '' && text !== this.told)
      this.log.warn(
        `${this.directory.path} holds what another application has to send, and none that could is running: ${text}. It is left alone; this one sends for «${this.own.name}»`,
      );
    this.told = text;
  }
}

function tagIn(name: string): string | undefined {
  return /^([0-9a-f]{12})\./.exec(name)?.[1];
}
