import type { PostgresDatabase } from '../clients/postgres-database.js';
import type { SqlClient, SqlRecord } from '../clients/sql-client.js';
import type { CancelTimer, Clock } from '../clock/clock.js';
import { until } from '../clock/sleep.js';
import { MessagingError } from '../errors/messaging-error.js';
import {
  MessageExpiredError,
  NotConnectedError,
  PublisherClosedError,
  RetryQueueFullError,
  SerializationError,
  UnroutableError,
} from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Publication } from '../publisher/publication.js';
import type { Receipt } from '../publisher/receipt.js';
import { type OutboxRow, publicationOf } from './outbox-row.js';
import type { OutboxStatements } from './outbox-statements.js';

/** A message that no queue takes is parked after so many sends, which takes half a minute: who is to take it may be starting. */
const MOST_RETURNS = 6;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** How often the server is told so while confirms are awaited: a third of the idle limit. */
const BEAT_MS = 5_000;
/** So many keys are passed over that other relays are at; then it looks again later. */
const MOST_PASSED_KEYS = 10_000;
/** Bodies of one batch; one that is larger goes alone. They are in memory until they are confirmed. */
const MOST_BYTES = 16 * 2 ** 20;
/** What is told of an error is not longer. */
const MAX_ERROR = 2_000;

export interface BatchOptions {
  readonly database: PostgresDatabase;
  readonly statements: OutboxStatements;
  readonly limit: number;
  /** Messages of all keys one after the other. */
  readonly inOrder: boolean;
  /** Of the outbox, for the lock of who sends in order. */
  readonly name: string;
  readonly retention: boolean;
  readonly clock: Clock;
  /** Aborted: what is not confirmed yet is not waited for any more. */
  readonly deadline: AbortSignal;
  readonly send: (publications: readonly Publication[]) => Promise<Receipt>[];
}

/** What became of one batch. */
export interface BatchResult {
  /** There may be more. */
  readonly more: boolean;
  readonly sent: number;
  readonly parked: readonly { readonly row: OutboxRow; readonly error: MessagingError }[];
  /** Why nothing can be sent at all, where that is so. */
  readonly obstacle?: MessagingError;
}

interface Fates {
  readonly confirmed: string[];
  readonly parked: { row: OutboxRow; error: MessagingError }[];
  readonly deferred: { row: OutboxRow; error: MessagingError }[];
  obstacle?: MessagingError;
  /** Nothing more is sent or waited for. */
  isOver: boolean;
}

/**
 * Takes some messages, sends them and removes those that were confirmed, in one transaction: while it is open nobody else
 * takes them, and where it ends without a commit they are as they were.
 */
export class RelayBatch {
  constructor(private readonly options: BatchOptions) {}

  async run(): Promise<BatchResult> {
    const client = await this.options.database.connect();
    let failed = true;
    try {
      await client.query(this.options.statements.begin, []);
      const result = await this.within(client);
      await client.query('commit', []);
      failed = false;
      return result;
    } finally {
      // A connection that is ended gives back what it has taken.
      client.release(failed);
    }
  }

  private async within(client: SqlClient): Promise<BatchResult> {
    const { rows, full } = await this.take(client);
    const ready = rows.filter((row) => row.ready);
    if (ready.length === 0) return { more: false, sent: 0, parked: [] };
    const fates: Fates = { confirmed: [], parked: [], deferred: [], isOver: false };
    await this.confirmed(this.send(this.inTime(ready, fates), fates), client, fates);
    await this.settle(client, fates);
    const { confirmed, parked, obstacle } = fates;
    return { more: full && obstacle === undefined, sent: confirmed.length, parked, ...(obstacle && { obstacle }) };
  }

  private async take(client: SqlClient): Promise<{ readonly rows: readonly OutboxRow[]; readonly full: boolean }> {
    const { statements, limit, inOrder, name } = this.options;
    if (inOrder) {
      const [{ alone }] = await client.query(statements.alone, [name]);
      const rows = alone === 'true' ? await client.query(statements.takeInOrder, [limit, MOST_BYTES]) : [];
      return { rows: fitting(rows), full: rows.length === limit };
    }
    const passed = new Set<string>();
    for (let most = limit; ;) {
      await client.query('savepoint taken', []);
      const found = await client.query(statements.take, [most, [...passed], MOST_BYTES]);
      const rows = fitting(found);
      if (rows.length < found.length) {
        most = rows.length;
        await client.query('rollback to savepoint taken', []);
        continue;
      }
      const before = passed.size;
      for (const key of blockedKeys(rows)) passed.add(key);
      const full = rows.length === most;
      if (passed.size === before) return { rows, full };
      // Another relay sends earlier messages of these keys: it shall find the later ones, and what is behind them is taken here.
      await client.query('rollback to savepoint taken', []);
      if (passed.size >= MOST_PASSED_KEYS) return { rows: [], full: false };
    }
  }

  /** Without those that are of no use any more. */
  private inTime(rows: readonly OutboxRow[], fates: Fates): OutboxRow[] {
    const now = this.options.clock.now();
    return rows.filter((row) => {
      try {
        row.publication = publicationOf(row);
      } catch (error) {
        fates.parked.push({ row, error: new SerializationError(`It cannot be read: ${errorMessage(error)}`) });
        return false;
      }
      if (row.expires_at === null || Number(row.expires_at) > now) return true;
      fates.parked.push({
        row,
        error: new MessageExpiredError('Its time to live ended while it waited in the outbox'),
      });
      return false;
    });
  }

  /** Waits for confirms, and tells the server now and then that this process is there. */
  private async confirmed(all: Promise<void>, client: SqlClient, fates: Fates): Promise<void> {
    const { clock, deadline } = this.options;
    const over = new AbortController();
    const end = (): void => over.abort();
    let failure: { readonly error: unknown } | undefined;
    const fail = (error: unknown): void => {
      failure ??= { error };
      end();
    };
    let cancel: CancelTimer = () => {};
    const beat = (): void => {
      if (!fates.isOver)
        cancel = clock.after(BEAT_MS, () => void client.query('select', []).then(beat, fail), { background: true });
    };
    beat();
    all.catch(fail);
    deadline.addEventListener('abort', end);
    if (deadline.aborted) end();
    await until(all, over.signal);
    fates.isOver = true;
    cancel();
    deadline.removeEventListener('abort', end);
    if (failure) throw failure.error;
  }

  /** Messages of a key one after the other, everything else at once. */
  private async send(rows: readonly OutboxRow[], fates: Fates): Promise<void> {
    const lines = new Map<string, OutboxRow[]>();
    const free: OutboxRow[] = [];
    for (const row of rows) {
      const line = this.options.inOrder ? '' : row.key;
      if (line === null) free.push(row);
      else lines.set(line, [...(lines.get(line) ?? []), row]);
    }
    // The first ones of all lines go with those that are in none.
    const heads = [...lines.values()].map((line) => line.shift()!);
    const receipts = this.options.send([...free, ...heads].map((row) => row.publication!));
    const all = free.map((row, at) => this.outcome(row, receipts[at], fates));
    for (const [at, line] of [...lines.values()].entries())
      all.push(this.inLine(heads[at], line, receipts[free.length + at], fates));
    await Promise.all(all);
  }

  /** It ends at the first one that has to wait: those behind it do, too. */
  private async inLine(
    head: OutboxRow,
    rest: readonly OutboxRow[],
    receipt: Promise<Receipt>,
    fates: Fates,
  ): Promise<boolean> {
    let goesOn = await this.outcome(head, receipt, fates);
    for (const row of rest) {
      if (!goesOn || fates.obstacle || fates.isOver) return false;
      goesOn = await this.outcome(row, this.options.send([row.publication!])[0], fates);
    }
    return goesOn;
  }

  /** Whether its successor may be sent. */
  private async outcome(row: OutboxRow, receipt: Promise<Receipt>, fates: Fates): Promise<boolean> {
    try {
      await receipt;
      fates.confirmed.push(row.seq);
      return true;
    } catch (thrown) {
      const error = thrown as MessagingError;
      const fate = fateOf(row, error);
      if (fate === 'obstacle') fates.obstacle = error;
      else fates[fate].push({ row, error });
      return fate === 'parked';
    }
  }

  private async settle(client: SqlClient, { confirmed, parked, deferred }: Fates): Promise<void> {
    const { statements, retention } = this.options;
    if (confirmed.length > 0) await client.query(retention ? statements.keep : statements.remove, [confirmed]);
    if (parked.length > 0) await client.query(statements.park, told(parked));
    if (deferred.length > 0) {
      const pauses = deferred.map(({ row }) =>
        String(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(row.attempts, 20), LONGEST_PAUSE_MS)),
      );
      await client.query(statements.defer, [...told(deferred), pauses]);
    }
  }
}

/** Those of which the body was given, for there are not too many bytes before it. */
function fitting(rows: readonly SqlRecord[]): OutboxRow[] {
  return rows.filter(({ payload }) => payload !== null) as unknown as OutboxRow[];
}

/** Those of which nothing can be sent. */
function blockedKeys(rows: readonly OutboxRow[]): Set<string> {
  const keys = new Set<string>();
  for (const { key, ready } of rows) if (key !== null && !ready) keys.add(key);
  for (const { key, ready } of rows) if (key !== null && ready) keys.delete(key);
  return keys;
}

/** What a failed send means: for this message for good, for this message now, or for all. */
function fateOf({ unroutable, attempts }: OutboxRow, error: MessagingError): 'parked' | 'deferred' | 'obstacle' {
  if (
    error instanceof NotConnectedError ||
    error instanceof PublisherClosedError ||
    error instanceof RetryQueueFullError
  )
    return 'obstacle';
  if (error instanceof UnroutableError)
    return unroutable === 'queue' || attempts + 1 < MOST_RETURNS ? 'deferred' : 'parked';
  return error instanceof MessagingError && !error.retryable ? 'parked' : 'deferred';
}

function told(fates: readonly { row: OutboxRow; error: MessagingError }[]): [string[], string[]] {
  return [
    fates.map(({ row }) => row.seq),
    fates.map(({ error }) =>
      `${error.code ?? ''} ${errorMessage(error)}`.trim().replaceAll('\0', '').slice(0, MAX_ERROR),
    ),
  ];
}
