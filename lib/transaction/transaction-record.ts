import type { Clock } from '../clock/clock.js';

/*
 * prepared     the message is kept, and the local transaction runs, or its process ended before it said what became of it
 * unknown      it was asked about, and nobody could say
 * parked       it was asked about as often as may be; somebody has to say
 * committed    the message is to be sent; when that is done, the record goes
 *
 * What was rolled back has no record.
 */
export type TransactionState = 'prepared' | 'unknown' | 'parked' | 'committed';

export const TRANSACTION_STATES: readonly TransactionState[] = ['prepared', 'unknown', 'parked', 'committed'];

/** What is written down before a local transaction begins. */
export interface NewTransactionRecord {
  readonly id: string;
  readonly route: string;
  /** Milliseconds that the local transaction may take. */
  readonly timeoutMs: number;
  /** When it was prepared, in milliseconds since the epoch. For people: nothing is decided by it. */
  readonly preparedAt: number;
  /** All of the message but its body, as text. */
  readonly meta: string;
  readonly body: Buffer;
}

/** One transactional send, as it is kept until its message is sent or its transaction is known to be rolled back. */
export interface TransactionRecord extends NewTransactionRecord {
  /** Its place, from 1. */
  readonly seq: number;
  readonly state: TransactionState;
  /** Who has to see to it. */
  readonly owner: string;
  /** How often it was asked about without an answer. */
  readonly checks: number;
  /** What is in the way, as it was found last. */
  readonly reason?: string;
}

/** A process that has records, with a number that grows as long as it lives. */
export interface RecordOwner {
  readonly owner: string;
  readonly beats: number;
}

/** What was found out about a record that goes on. */
export interface TransactionNote {
  readonly state: 'unknown' | 'parked';
  readonly checks: number;
  readonly reason: string;
}

/**
 * Keeps the records of transactional sends. Nothing in it goes by the time of day, so no clock that jumps, and no two that
 * differ, can make a record look abandoned: who lives beats, and others see the beats grow.
 *
 * Every method may reject; then nothing is known. The contract is `transactionRecordsContract` of `nestjs-messaging/testing`.
 */
export interface TransactionRecordStore {
  /** Checks at boot that the store can be used. @throws what waiting cannot cure */
  open?(): Promise<void>;
  /** Keeps a new record, which is the owner's; it counts as a beat. Once this has resolved, that survives what the store is there to survive. */
  prepare(record: NewTransactionRecord, owner: string): Promise<void>;
  /**
   * The local transaction committed. The record is the owner's and committed, whoever had it and whatever it was, and also
   * where it is gone: who saw the commit knows better than who asked.
   */
  commit(record: NewTransactionRecord, owner: string): Promise<void>;
  /** False, and without effect: the record is gone, or another's, or committed. */
  note(id: string, owner: string, note: TransactionNote): Promise<boolean>;
  /** False, and without effect: the record is gone, or another's. */
  remove(id: string, owner: string): Promise<boolean>;
  find(id: string): Promise<TransactionRecord | undefined>;
  /** The owner lives. */
  beat(owner: string): Promise<void>;
  owners(): Promise<RecordOwner[]>;
  /** The owner lives no more: it did not beat since. Its records are nobody's. False, and without effect: it did. */
  bury(owner: RecordOwner): Promise<boolean>;
  /** The owner ends by itself: its records are nobody's. */
  leave(owner: string): Promise<void>;
  /**
   * Takes, in their order, at most `limit` records that are nobody's: committed ones, and those of these routes. Parked ones
   * stay where they are. Taking any counts as a beat. Of many that ask at once one gets each.
   */
  adopt(owner: string, routes: readonly string[], limit: number): Promise<TransactionRecord[]>;
  /** Those behind a place (0: from the first) in their order, at most `limit`; of one state, or of all. */
  page(state: TransactionState | undefined, afterSeq: number, limit: number): Promise<TransactionRecord[]>;
  /** How many there are in each state. */
  count(): Promise<Readonly<Record<TransactionState, number>>>;
  /**
   * Somebody has said what becomes of a parked record: it is to be sent, it goes, or it is asked about anew. It is the
   * owner's then. False, and without effect: it is gone, or not parked.
   */
  resolve(id: string, owner: string, outcome: 'committed' | 'rolled-back' | 'unknown'): Promise<boolean>;
  /** Calling it again is harmless. */
  close(): Promise<void>;
}

export interface TransactionRecordStoreEnvironment {
  readonly clock: Clock;
  /** Whose records these are: those of another scope in the same place are left alone. */
  readonly scope: string;
}

/** What `sqliteTransactionRecords({ … })` and others return: options, checked. */
export interface TransactionRecordStoreFactory {
  readonly kind: string;
  /** What it keeps survives the process. */
  readonly durable: boolean;
  create(environment: TransactionRecordStoreEnvironment): TransactionRecordStore;
}
