import type { MessageProperties } from '../message/message.js';
import type { Headers } from '../message/headers.js';
import type { TransportCapabilities } from '../transport/capabilities.js';
import type { Destination } from '../transport/outgoing.js';
import type { Transport, TransportEnvironment } from '../transport/transport.js';

/**
 * What the author of a transport gives to {@link transportContract}: ways to make transports of one broker, and, as far
 * as there are any, ways to hurt that broker. Cases that need what is missing say so in `unmet`.
 */
export interface TransportHarness {
  /** Shown in messages: `memory`, `rabbitmq 4.0.5`. */
  readonly name: string;
  /** The capabilities of the transports that `create` makes without overrides. */
  readonly capabilities: TransportCapabilities;
  /** A transport, not yet connected. All of them reach the same broker. */
  create(overrides?: HarnessOverrides): Transport;
  /** What a transport is given at `connect`; the cases add `onEvent` and vary `confirmTimeout` and `provision`. */
  environment(): HarnessEnvironment;
  /** Moves virtual time on. Left out where time passes by itself. */
  elapse?(ms: number): Promise<void>;
  /** How long a case waits for something that has to happen, in milliseconds; default 15,000. */
  readonly patienceMs?: number;
  /** What the broker cannot do of what core does better with. Cases about it are left out. */
  readonly lacks?: readonly HarnessLack[];
  /** Headers arrive as text, whatever they were: cases about their types are not for this broker. */
  readonly textHeaders?: boolean;
  /** The broker recognises a resend by its `dedupeId` and stores it once. */
  readonly deduplicates?: boolean;
  /** The transports have `queues.list`. Default false. */
  readonly listsQueues?: boolean;
  /** The transports have `replies`. Default false. */
  readonly replies?: boolean;
  /** The transports have `provisioning`. Default false. */
  readonly provisioning?: boolean;
  /** The broker's count of a queue can lag behind its confirm. Default false. */
  readonly countsLate?: boolean;
  /** The password (or token) in the options of the transports: it must not show anywhere. */
  readonly secret?: string;
  /** A transport whose credentials the broker refuses. Its `connect` has to reject. */
  misconfigured?(): Transport;
  readonly faults?: HarnessFaults;
  readonly peer?: HarnessPeer;
  /** Removes the queues that a case has declared. Without it they stay, unbound. */
  remove?(queues: readonly string[]): Promise<void>;
}

/**
 * `queues`: the transport has no `queues`. `unroutable`: the broker does not say, per publish, that no queue takes the message. `deliveryCount`: it does not count how
 * often it redelivered a message. `confirmedAcks`: it does not answer acks. `bindings`: it does not keep what a queue is bound
 * by and where its dead letters go; patterns are held against a message when it is read. `sharing`: consumers of a queue do
 * not share it message by message, so that what one holds unsettled comes again when another takes over. `expiry`: a queue that
 * nobody consumes does not go by itself. `oldPlace`: what goes back may come after what was behind it. `order`: messages of a
 * queue may overtake each other, though nobody gave one back.
 */
export type HarnessLack =
  | 'expiry'
  | 'queues'
  | 'unroutable'
  | 'deliveryCount'
  | 'confirmedAcks'
  | 'bindings'
  | 'sharing'
  | 'oldPlace'
  | 'order';

export type HarnessEnvironment = Omit<TransportEnvironment, 'onEvent'>;

export interface HarnessOverrides {
  /** Lower the limit on the size of a body, so that the case about it stays small. May be ignored. */
  readonly maxBytes?: number;
}

/** A part of the body of messages over which the broker ends the connection, while the fault `poison` is on. */
export const POISON = 'poison-that-no-broker-can-read';

/** Each resolves when the fault has happened on the broker's side; the transports need not have noticed yet. */
export interface HarnessFaults {
  /** Cuts every connection of the transports made so far. New ones are accepted at once (see `refuse`). */
  disconnect?(): Promise<void>;
  /** While on, new connections are refused. */
  refuse?(on: boolean): Promise<void>;
  /** While on, what is published is stored, but the answers are lost. Turning it off may cut the connection. */
  dropConfirms?(on: boolean): Promise<void>;
  /** While on, the broker asks publishers to stop. */
  block?(on: boolean): Promise<void>;
  /** While on, the broker ends each connection that it is sent {@link POISON} on, as over what it cannot read, and says so. */
  poison?(on: boolean): Promise<void>;
  /** The broker ends the consumers of this queue and leaves the queue. */
  cancel?(queue: string): Promise<void>;
  /** Somebody deletes the queue. */
  deleteQueue?(queue: string): Promise<void>;
  /** Somebody deletes what delayed messages wait in, with all that waits. */
  deleteDelays?(): Promise<void>;
  /** The broker's process is killed and started again on its data. */
  restart?(): Promise<void>;
}

/** A plain client of the broker, with none of this package's code in it. */
export interface HarnessPeer {
  publish(to: Destination, message: PeerMessage): Promise<void>;
  /** Takes (and acks) the next message of a queue; undefined when it is empty. */
  get(queue: string): Promise<PeerMessage | undefined>;
}

/** A message as a plain client of the broker sees it. */
export interface PeerMessage {
  readonly body: Buffer;
  readonly headers: Headers;
  /** Absent: the peer sends (or found) none. */
  readonly id?: string;
  readonly properties: MessageProperties;
}

/** What a case can need of a transport or of its harness, each with the way to tell whether it is there. */
const needs = {
  queues: (harness: TransportHarness) => !harness.lacks?.includes('queues'),
  unroutable: (harness: TransportHarness) => !harness.lacks?.includes('unroutable'),
  wildcards: (harness: TransportHarness) => harness.capabilities.wildcards,
  deliveryCount: (harness: TransportHarness) => !harness.lacks?.includes('deliveryCount'),
  redelivery: (harness: TransportHarness) => harness.capabilities.retry === 'redelivery',
  lease: (harness: TransportHarness) => Number.isFinite(harness.capabilities.leaseMs),
  confirmedAcks: (harness: TransportHarness) => !harness.lacks?.includes('confirmedAcks'),
  bindings: (harness: TransportHarness) => !harness.lacks?.includes('bindings'),
  expiry: (harness: TransportHarness) => !harness.lacks?.includes('expiry'),
  sharing: (harness: TransportHarness) => !harness.lacks?.includes('sharing'),
  oldPlace: (harness: TransportHarness) => !harness.lacks?.includes('oldPlace'),
  order: (harness: TransportHarness) => !harness.lacks?.includes('order'),
  delay: (harness: TransportHarness) => harness.capabilities.maxDelayMs > 0,
  maxDelay: (harness: TransportHarness) =>
    harness.capabilities.maxDelayMs > 0 && Number.isFinite(harness.capabilities.maxDelayMs),
  maxBytes: (harness: TransportHarness) => Number.isFinite(harness.capabilities.maxBytes),
  typedHeaders: (harness: TransportHarness) => !harness.textHeaders,
  listQueues: (harness: TransportHarness) => harness.listsQueues === true,
  replies: (harness: TransportHarness) => harness.replies === true,
  provisioning: (harness: TransportHarness) => harness.provisioning === true,
  secret: (harness: TransportHarness) => harness.secret !== undefined,
  misconfigured: (harness: TransportHarness) => harness.misconfigured !== undefined,
  peer: (harness: TransportHarness) => harness.peer !== undefined,
  disconnect: (harness: TransportHarness) => harness.faults?.disconnect !== undefined,
  refuse: (harness: TransportHarness) => harness.faults?.refuse !== undefined,
  dropConfirms: (harness: TransportHarness) => harness.faults?.dropConfirms !== undefined,
  block: (harness: TransportHarness) => harness.faults?.block !== undefined,
  poison: (harness: TransportHarness) => harness.faults?.poison !== undefined,
  cancel: (harness: TransportHarness) => harness.faults?.cancel !== undefined,
  deleteQueue: (harness: TransportHarness) => harness.faults?.deleteQueue !== undefined,
  deleteDelays: (harness: TransportHarness) => harness.faults?.deleteDelays !== undefined,
  restart: (harness: TransportHarness) => harness.capabilities.durable && harness.faults?.restart !== undefined,
} satisfies Record<string, (harness: TransportHarness) => boolean>;

/** A capability of the transport or a feature of its harness that a case cannot do without. */
export type ContractNeed = keyof typeof needs;

/** The `wanted` needs that are missing. */
export function unmetNeeds(harness: TransportHarness, wanted: readonly ContractNeed[]): ContractNeed[] {
  return wanted.filter((need) => !needs[need](harness));
}
