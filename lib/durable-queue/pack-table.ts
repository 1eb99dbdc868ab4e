import type { SqliteDatabase, SqliteRow } from '../clients/sqlite.js';
import { Packer } from './pack.js';
import type { QueueEntry, StoredEntry } from './queue-entry.js';
import { type Leaving, StoredPack } from './stored-pack.js';

/**
 * The packs of a file. An entry leaves its pack by a bit; a pack without entries is deleted. What leaves is noted in memory
 * and written by `flush`, once for all that leave in one transaction.
 */
export class PackTable {
  private readonly packer = new Packer();
  private readonly changed = new Map<number, StoredPack>();
  /** The ones that were looked at last, reading and deleting: entries come and leave in their order, mostly. */
  private read?: StoredPack;
  private left?: StoredPack;

  constructor(private readonly database: SqliteDatabase) {}

  insert(entries: readonly QueueEntry[]): void {
    const { first, last, queue, count, queuedAt, bytes, data } = this.packer.pack(entries);
    const gone = Buffer.alloc(Math.ceil(count / 8));
    this.run('INSERT INTO packs VALUES (?, ?, ?, ?, ?, ?, ?)', last, first, queue, queuedAt, count, bytes, gone);
    this.run('INSERT INTO pack_data VALUES (?, ?)', last, data);
  }

  /** Entries behind a place, in order; of one queue or of all. */
  *after(seq: number, queue?: string): Generator<StoredEntry> {
    for (let pack = this.next(this.read, seq, queue); pack; pack = this.next(undefined, pack.last, queue)) {
      this.read = pack;
      yield* pack.after(seq);
    }
  }

  has(seq: number): boolean {
    return this.holding(seq)?.has(seq) ?? false;
  }

  /** False when the entry is not in a pack. */
  delete(seq: number): boolean {
    const pack = this.holding(seq);
    const deleted = pack?.remove(seq) ?? false;
    if (deleted) this.changed.set(pack!.last, pack!);
    return deleted;
  }

  deleteUpTo(seq: number): void {
    for (const entry of this.after(0)) {
      if (entry.seq > seq) break;
      this.delete(entry.seq);
    }
    this.flush();
  }

  /** Sets an entry that is not what was written apart; undefined when it is not in a pack. */
  setApart(seq: number): Leaving | undefined {
    const pack = this.holding(seq);
    const leaving = pack?.removeDamaged(seq);
    if (!leaving) return undefined;
    // All of the pack: which bytes are whose cannot be told.
    this.run(
      'INSERT OR REPLACE INTO damaged SELECT ?, ?, NULL, NULL, NULL, data, NULL FROM pack_data WHERE last = ?',
      ...[seq, pack!.queue, pack!.last],
    );
    this.changed.set(pack!.last, pack!);
    return leaving;
  }

  /** Writes what has left, within a transaction. */
  flush(): void {
    for (const { last, left, bytes, gone } of this.changed.values()) {
      if (left > 0) {
        this.run('UPDATE packs SET remaining = ?, bytes = ?, gone = ? WHERE last = ?', left, bytes, gone, last);
        continue;
      }
      this.run('DELETE FROM packs WHERE last = ?', last);
      this.run('DELETE FROM pack_data WHERE last = ?', last);
    }
    this.changed.clear();
  }

  /** Forgets what was not written. */
  reset(): void {
    this.changed.clear();
    this.read = this.left = undefined;
  }

  private holding(seq: number): StoredPack | undefined {
    const pack = this.next(this.left, seq - 1);
    if (!pack || pack.first > seq) return undefined;
    return (this.left = pack);
  }

  /** The first pack that ends behind a place; perhaps the one that is at hand. */
  private next(atHand: StoredPack | undefined, seq: number, queue?: string): StoredPack | undefined {
    if (atHand && atHand.first <= seq + 1 && seq < atHand.last && (queue ?? atHand.queue) === atHand.queue)
      return atHand;
    const row =
      queue === undefined
        ? this.get('SELECT * FROM packs WHERE last > ? ORDER BY last LIMIT 1', seq)
        : this.get('SELECT * FROM packs WHERE last > ? AND queue = ? ORDER BY last LIMIT 1', seq, queue);
    if (!row) return undefined;
    const last = row.last as number;
    // One object for each pack: what left it is known to whoever reads it.
    for (const known of [this.read, this.left, this.changed.get(last)]) if (known?.last === last) return known;
    return new StoredPack(row, this.get('SELECT data FROM pack_data WHERE last = ?', last)?.data);
  }

  private run(sql: string, ...values: (string | number | Uint8Array)[]): void {
    this.database.prepare(sql).run(...values);
  }

  private get(sql: string, ...values: (string | number)[]): SqliteRow | undefined {
    return this.database.prepare(sql).get(...values);
  }
}
