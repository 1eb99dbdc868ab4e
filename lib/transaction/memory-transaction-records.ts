import type {
  NewTransactionRecord,
  RecordOwner,
  TransactionNote,
  TransactionRecord,
  TransactionRecordStore,
  TransactionRecordStoreFactory,
  TransactionState,
} from './transaction-record.js';

/** Records that end with the process, for tests: they are good for no crash. */
export function memoryTransactionRecords(): TransactionRecordStoreFactory {
  return { kind: 'memory', durable: false, create: () => new MemoryTransactionRecords() };
}

class MemoryTransactionRecords implements TransactionRecordStore {
  private readonly records = new Map<string, TransactionRecord>();
  private readonly beats = new Map<string, number>();
  private lastSeq = 0;

  async prepare(record: NewTransactionRecord, owner: string): Promise<void> {
    if (this.records.has(record.id)) throw new Error(`there is a record ${record.id} already`);
    await this.beat(owner);
    this.records.set(record.id, { ...record, seq: ++this.lastSeq, state: 'prepared', owner, checks: 0 });
  }

  async commit(record: NewTransactionRecord, owner: string): Promise<void> {
    const { seq = ++this.lastSeq, checks = 0 } = this.records.get(record.id) ?? {};
    this.records.set(record.id, { ...record, seq, state: 'committed', owner, checks });
  }

  async note(id: string, owner: string, note: TransactionNote): Promise<boolean> {
    const record = this.records.get(id);
    if (record?.owner !== owner || record.state === 'committed') return false;
    this.records.set(id, { ...record, ...note });
    return true;
  }

  async remove(id: string, owner: string): Promise<boolean> {
    return this.records.get(id)?.owner === owner && this.records.delete(id);
  }

  async find(id: string): Promise<TransactionRecord | undefined> {
    return this.records.get(id);
  }

  async beat(owner: string): Promise<void> {
    this.beats.set(owner, (this.beats.get(owner) ?? 0) + 1);
  }

  async owners(): Promise<RecordOwner[]> {
    return Array.from(this.beats, ([owner, beats]) => ({ owner, beats }));
  }

  async bury({ owner, beats }: RecordOwner): Promise<boolean> {
    return this.beats.get(owner) === beats && this.beats.delete(owner);
  }

  async leave(owner: string): Promise<void> {
    this.beats.delete(owner);
  }

  async adopt(owner: string, routes: readonly string[], limit: number): Promise<TransactionRecord[]> {
    const adopted = [...this.records.values()]
      .filter(({ owner: of }) => !this.beats.has(of))
      .filter(({ state, route }) => state === 'committed' || (state !== 'parked' && routes.includes(route)))
      .slice(0, limit)
      .map((record) => ({ ...record, owner }));
    for (const record of adopted) this.records.set(record.id, record);
    if (adopted.length > 0) await this.beat(owner);
    return adopted;
  }

  async page(state: TransactionState | undefined, afterSeq: number, limit: number): Promise<TransactionRecord[]> {
    return [...this.records.values()]
      .filter((record) => record.seq > afterSeq && (state === undefined || record.state === state))
      .sort((a, b) => a.seq - b.seq)
      .slice(0, limit);
  }

  async count(): Promise<Record<TransactionState, number>> {
    const counts = { prepared: 0, unknown: 0, parked: 0, committed: 0 };
    for (const { state } of this.records.values()) counts[state]++;
    return counts;
  }

  async resolve(id: string, owner: string, outcome: 'committed' | 'rolled-back' | 'unknown'): Promise<boolean> {
    const record = this.records.get(id);
    if (record?.state !== 'parked') return false;
    if (outcome === 'rolled-back') return this.records.delete(id);
    await this.beat(owner);
    this.records.set(id, { ...record, owner, state: outcome, checks: 0, reason: undefined });
    return true;
  }

  async close(): Promise<void> {}
}
