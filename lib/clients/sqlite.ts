import { loadPeer } from '../errors/optional-peer.js';

export type SqliteValue = string | number | null | Uint8Array;
export type SqliteRow = Record<string, SqliteValue>;

export interface SqliteStatement {
  run(...values: SqliteValue[]): unknown;
  get(...values: SqliteValue[]): SqliteRow | undefined;
  all(...values: SqliteValue[]): SqliteRow[];
  /** Rows one by one; leaving the loop early ends the reading. */
  iterate(...values: SqliteValue[]): IterableIterator<SqliteRow>;
}

/** One open SQLite file. Every call is synchronous. */
export interface SqliteDatabase {
  exec(sql: string): void;
  /** The same text is prepared once. */
  prepare(sql: string): SqliteStatement;
  close(): void;
}

class OpenDatabase implements SqliteDatabase {
  private readonly statements = new Map<string, SqliteStatement>();

  constructor(private readonly database: SqliteDatabase) {}

  exec(sql: string): void {
    this.database.exec(sql);
  }

  prepare(sql: string): SqliteStatement {
    let statement = this.statements.get(sql);
    if (!statement) this.statements.set(sql, (statement = this.database.prepare(sql)));
    return statement;
  }

  /**
   * Where statements do not end with their database (the package, not Node), the file stays open until they are collected as
   * garbage: then SQLite deletes the log *by its name*. So a name must never be used for another file.
   */
  close(): void {
    this.statements.clear();
    this.database.close();
  }
}

export interface SqliteOptions {
  readonly readOnly?: boolean;
  /** False: what is damaged is read as far as it goes. Where there is no such option, it always is. */
  readonly defensive?: boolean;
}

/** The little this package needs of SQLite: the `DatabaseSync` API of Node, which another package also offers. */
export interface Sqlite {
  open(path: string, options?: SqliteOptions): SqliteDatabase;
}

interface SqliteModule {
  readonly DatabaseSync: new (path: string, options?: SqliteOptions) => unknown;
}

/** All of `work`, on the disk when it returns, or nothing. @throws what `work` throws, and errors of SQLite */
export function inTransaction<T>(database: SqliteDatabase, work: () => T): T {
  database.prepare('BEGIN IMMEDIATE').run();
  try {
    const result = work();
    database.prepare('COMMIT').run();
    return result;
  } catch (error) {
    try {
      database.prepare('ROLLBACK').run();
    } catch {
      // Some errors have ended the transaction already.
    }
    throw error;
  }
}

const PEER = '@photostructure/sqlite';

/** Node's own SQLite (22.13 and later), else the optional peer. @throws MissingPeerError */
export async function loadSqlite(neededBy: string): Promise<Sqlite> {
  const { DatabaseSync } = builtIn() ?? (await peer(neededBy));
  return { open: (path, options = {}) => new OpenDatabase(new DatabaseSync(path, options) as SqliteDatabase) };
}

function builtIn(): SqliteModule | undefined {
  // Not there before 20.16, and undefined for what this Node does not have.
  const { getBuiltinModule } = process as { getBuiltinModule?: (name: string) => unknown };
  return getBuiltinModule?.('node:sqlite') as SqliteModule | undefined;
}

async function peer(neededBy: string): Promise<SqliteModule> {
  const named = { name: PEER, range: '^1.2.1', neededBy: `${neededBy} (on Node before 22.13)` };
  const loaded: Partial<SqliteModule> & { default?: SqliteModule } = await loadPeer(
    named,
    () => import('@photostructure/sqlite') as Promise<Partial<SqliteModule> & { default?: SqliteModule }>,
  );
  return loaded.DatabaseSync ? (loaded as SqliteModule) : (loaded.default as SqliteModule);
}

const BUSY = 5;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** Another connection holds a lock. */
export function isLocked(error: unknown): boolean {
  return codeOf(error) === BUSY;
}

/** The file itself is broken: trying again cannot help. */
export function isDamage(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return code === CORRUPT || code === NOT_A_DATABASE;
  // The package's iterators throw without a code.
  const { message } = (error ?? {}) as { message?: unknown };
  return message === 'database disk image is malformed' || message === 'file is not a database';
}

/** SQLite's primary result code, or undefined for an error that has none. */
function codeOf(error: unknown): number | undefined {
  const { errcode } = (error ?? {}) as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}
