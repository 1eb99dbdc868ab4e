import type { Topology } from './topology.js';

/** What a deployment does with topologies, without consuming or publishing. Absent where nothing can be said of what is there. */
export interface Provisioning {
  /**
   * Compares what the broker has with what these topologies want. Makes nothing. `provision` of the topologies does not
   * count. Rejects while disconnected.
   */
  plan(topologies: readonly Topology[]): Promise<TopologyPlan>;

  /**
   * The way of one queue to what these topologies want of it, with all that is in it. Absent where queues have nothing that
   * cannot be changed in place. Rejects with a MessagingError where there is no such way.
   */
  migration?(topologies: readonly Topology[], queue: string): Promise<QueueMigration>;
}

/** What is to be done, in the order in which it is done. */
export interface TopologyPlan {
  readonly entries: readonly PlannedEntry[];
  /** What the broker does not tell here, in words. */
  readonly unseen: readonly string[];
}

/**
 * `add`: it is not there. `change`: it is another, and is changed in place. `migrate`: it is another, and messages have to be
 * moved. `refuse`: it is another, and only people can decide. `unmanaged`: it is there, and nobody here wants it; it stays.
 */
export type PlannedAction = 'add' | 'change' | 'migrate' | 'refuse' | 'unmanaged';

export interface PlannedEntry {
  readonly action: PlannedAction;
  /** `queue`, `exchange`, `stream`, …, as the broker calls it. */
  readonly kind: string;
  readonly name: string;
  /** What it is made with, where it is to be added. */
  readonly wanted?: Readonly<Record<string, unknown>>;
  readonly differences?: readonly PlannedDifference[];
  /** What helps where nothing is done, or what else is to be known. */
  readonly note?: string;
  /** Does it. Only where the action is `add` or `change`. */
  apply?: () => Promise<void>;
}

/** Undefined: there is none. */
export interface PlannedDifference {
  readonly name: string;
  readonly wanted: unknown;
  readonly found: unknown;
}

/** One queue on its way. Everything is read from the broker, so that whoever begins anew goes on where another was killed. */
export interface QueueMigration {
  /** What is to be done from here on, in words, as far as is known by now. */
  readonly outline: readonly string[];
  /** What may be lost by it, and cannot be seen here. Default none. */
  readonly warnings?: readonly string[];
  /** Keeps others from it until `end`. Rejects with a MessagingError where another one is at it. */
  begin(): Promise<void>;
  /** What is next; undefined: nothing is left to do. Rejects with a MessagingError where it cannot go on now. */
  next(): Promise<MigrationStep | undefined>;
  /** Lets another one go on. */
  end(): Promise<void>;
}

/** One step. Doing it twice does no harm. */
export interface MigrationStep {
  /** In words. */
  readonly what: string;
  /** All messages go from one queue to another, each acked once its copy is confirmed. Left out: `act`. */
  readonly move?: { readonly from: string; readonly to: string };
  act?(): Promise<void>;
}
