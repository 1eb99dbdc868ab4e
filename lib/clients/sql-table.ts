import type { MessagingError, MessagingErrorOptions } from '../errors/messaging-error.js';

/** What a statement is given and answers; a large integer may be answered as text. */
export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/**
 * A statement in the SQL that SQLite and Postgres share. `?` stands for a value and for nothing else, and after `ON CONFLICT`
 * a column is named with its table, for Postgres sees those of `excluded` as well.
 */
export interface Statement {
  readonly text: string;
  readonly values: readonly SqlValue[];
  /** Its first row is enough: SQLite makes no list then. */
  readonly first?: boolean;
}

/**
 * What is done in a transaction: each statement is yielded, and answered with its rows. So the same steps are run at once
 * where calls return at once (SQLite: nobody else's code runs while the lock is held), and waited for elsewhere.
 */
export type Steps<T> = Generator<Statement, T, readonly SqlRow[]>;

/** The elements of a list of texts, which is given as JSON text; on Postgres it is given as an array. */
export const LISTED = '(SELECT value FROM json_each(?))';

export function* rows(text: string, ...values: SqlValue[]): Steps<readonly SqlRow[]> {
  return yield { text, values };
}

/** Whether the statement answers a row. */
export function* hits(text: string, ...values: SqlValue[]): Steps<boolean> {
  return (yield { text, values, first: true }).length > 0;
}

/** The table of a store: all that a database has to know of it. */
export interface TableDefinition {
  /** What the store is called in errors. */
  readonly noun: string;
  /** The store's own error. */
  readonly Failure: new (message: string, options?: MessagingErrorOptions) => MessagingError;
  /** The most calls that share a transaction. They fail together. */
  readonly callsTogether: number;
  /** Deletes some of what is over; true: there may be more. Asked for once a second, where there are calls. */
  readonly tidy?: (now: number) => Steps<boolean>;
  /** The name of its table, or of the first of them. */
  readonly table: string;
  readonly sqlite: {
    readonly version: number;
    /** Makes what is missing. */
    readonly schema: string;
    /** A condition on `sqlite_schema`. */
    readonly isOurs: string;
  };
  /** The same in PostgreSQL. */
  readonly server: {
    readonly version: number;
    /** Makes what is missing, in `SCHEMA`; a statement ends with its line. */
    readonly schema: string;
  };
}

/** A database with one store's table, which several processes share. */
export interface TableDatabase {
  /** Where it is, for errors; without a secret. */
  readonly place: string;
  /** Makes the table, if it is missing. @throws MissingPeerError, and the table's error when it cannot be used */
  open(): Promise<void>;
  /**
   * All of the steps, stored when it resolves, or nothing; and as if nobody else were there meanwhile. They are made anew
   * where others came first. They are given the time, in milliseconds since the epoch, as all that share the table have it.
   */
  transaction<T>(make: (now: number) => Steps<T>): Promise<T>;
  /** Called once, while nothing is under way. */
  close(): Promise<void>;
}
