/** How a worker consumes the work queue. */
export type ConsumerKind =
  /** A handler per message: `@Subscribe`. */
  | 'plain'
  /** `@SubscribeBatch` */
  | 'batch'
  /** Loops over one `messaging.receive`. */
  | 'receive'
  /** A handler per message, the queue split by key. */
  | 'partitions';

export const consumerKinds: readonly ConsumerKind[] = ['plain', 'batch', 'receive', 'partitions'];

/** What a worker process is started with. */
export interface WorkerSettings {
  readonly name: string;
  readonly role: 'publisher' | 'consumer';
  readonly consumerKind: ConsumerKind;
  readonly journal: string;
  readonly seed: number;
  readonly urls: readonly string[];
  readonly queueType: 'quorum' | 'classic';
  /** Seconds. */
  readonly heartbeat: number;
  readonly confirmTimeout: number;
  readonly shutdownTimeout: number;
  readonly unroutable: 'reject' | 'queue';
  readonly prefetch: number;
  /** Milliseconds a handler takes, from and to. */
  readonly handlerMs: readonly [number, number];
  readonly handlerTimeout?: number;
  readonly retryMs: number;
  readonly maxQueued: number;
  /** Consumes from the second route as well. */
  readonly side: boolean;
  /** Further arguments of the work queue. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

export const ROUTE = 'work';
/** A second destination, handled when `side` is set. */
export const SIDE_ROUTE = 'side';
export const EXCHANGE = 'fault';
export const QUEUE = 'fault:work:queue';
export const SIDE_QUEUE = 'fault:side:queue';
export const DEAD_LETTER_QUEUE = 'fault:work:dlq';
export const DUE_QUEUE = `${EXCHANGE}.due`;
export const ATTEMPTS = 4;
/** Of the work queue, where it has any. */
export const PARTITIONS = 4;
export const BATCH = { size: 10, maxWait: 100 } as const;
/** What the process that moves messages to the partitions takes at a time. */
const MOVED_AT_A_TIME = 100;

/** The most messages that a consumer process has without an ack. */
export function mostHeld({ consumerKind, prefetch }: WorkerSettings): number {
  return consumerKind === 'partitions' ? PARTITIONS * prefetch + MOVED_AT_A_TIME : prefetch;
}

/** What a handler does with a message. */
export type Behaviour =
  | 'work'
  /** Fails once, then works. */
  | 'flaky'
  /** Goes to the dead letters. */
  | 'dead'
  /** The handler never ends. */
  | 'hang'
  /** Kills its process. */
  | 'kill';

export interface WorkBody {
  readonly n: number;
  readonly does: Behaviour;
  readonly key?: string;
  readonly filler?: string;
}

export interface LoadRequest {
  /** Messages per second. */
  readonly rate: number;
  /** At most so many in all. */
  readonly count?: number;
  /** So many keys: each key's publishes are awaited one by one. */
  readonly keys?: number;
  /** Bytes of filler in each body. */
  readonly filler?: number;
  /** With keys: not awaited, but published with `ordered: true`, so many at a time per key. */
  readonly ordered?: number;
  /** Which part of the messages goes to the second route, 0…1; their ids say so. With keys: only where they are `ordered`. */
  readonly side?: number;
  /** Whether some messages fail once and some go to the dead letters. */
  readonly mixed?: boolean;
}

export interface PublishRequest {
  readonly count: number;
  readonly does?: Behaviour;
  /** Milliseconds, from and to. */
  readonly delay?: readonly [number, number];
  readonly filler?: number;
}

export type Command =
  | { readonly do: 'load'; readonly load: LoadRequest }
  | { readonly do: 'stop-load' }
  /** Publishes at once and answers with the ids, before any receipt. */
  | { readonly do: 'publish'; readonly publish: PublishRequest }
  | { readonly do: 'status' }
  /** Handlers wait at the end of their work while it holds. */
  | { readonly do: 'hold'; readonly on: boolean }
  /** Acks a delivery that does not exist, on the channel that consumes. */
  | { readonly do: 'bad-ack' }
  | { readonly do: 'collect-garbage' };

export interface WorkerStatus {
  readonly connection: string;
  readonly consumers: readonly { readonly state: string; readonly inFlight: number }[];
  readonly queued: number;
  /** Publishes without a final result. */
  readonly unsettled: number;
  readonly issued: number;
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number };
  readonly httpPort?: number;
}
