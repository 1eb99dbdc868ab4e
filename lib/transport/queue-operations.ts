import { UnsupportedError } from '../errors/configuration-errors.js';
import type { Delivery } from './delivery.js';
import type { QueueList, QueueScope } from './queue-list.js';
import type { Topology } from './topology.js';

/** What an operator asks of queues. Absent where messages stand in something that cannot be looked into or counted. */
export interface QueueOperations {
  /** Number of messages ready in a queue; undefined when the queue does not exist. Rejects while disconnected. */
  depth(queue: string): Promise<number | undefined>;

  /**
   * As `depth`, of what should come to this process, where the broker shares a queue by partitions. Absent: whoever consumes
   * may get any message.
   */
  readyHere?(queue: string): Promise<number | undefined>;

  /**
   * Reads a queue without consuming it: what is not acked goes back on `close`. Rejects while disconnected.
   * `rest` is an earlier look into it that was closed: it is gone on with. What that one gave back is shown again, and
   * nothing that came to the queue after the first look had begun.
   */
  browse(queue: string, rest?: Browser): Promise<Browser>;

  /**
   * What there is of a service, or by these names, and what is in it; makes nothing. Undefined where nothing is known of the
   * service, or where none is named and the broker lists no queues by itself. Rejects while disconnected. Absent where
   * nobody outside of the application can ask.
   */
  list?(scope: QueueScope): Promise<QueueList | undefined>;

  /** Removes the patterns of a queue, so that nothing more is routed to it. */
  unbind(topology: Topology): Promise<void>;

  /**
   * Looks at what is there of these topologies and makes nothing, so that who is refused leaves nothing behind. Resolves
   * while disconnected.
   * Rejects with one TopologyMismatchError that tells everything that exists with other arguments.
   */
  compare(topologies: readonly Topology[]): Promise<void>;

  /** Delayed messages that were seen due and unroutable, and wait to be tried again. Absent where that cannot be. */
  undeliverable?(): number;
}

/** A look into a queue. */
export interface Browser {
  /** The next message, or undefined at the end of what was there. */
  next(): Promise<Delivery | undefined>;
  /** How many messages have come to the queue since the first look began, as far as is known by now. */
  arrived(): Promise<number>;
  /**
   * How many messages stand behind the last one shown, as far as is known by now. Never more than there are: what somebody
   * else holds or removes meanwhile may be missing.
   */
  behind(): Promise<number>;
  /** Gives back what was neither acked nor released. */
  close(): Promise<void>;
}

/** A transport, as far as its queues go. */
export interface MaybeQueues {
  readonly system: string;
  readonly queues?: QueueOperations;
}

/** `wanted`: what cannot be done without them, and what helps. @throws UnsupportedError */
export function queuesOf({ system, queues }: MaybeQueues, wanted: string): QueueOperations {
  if (!queues) throw new UnsupportedError(`The queues of ${system} cannot be looked into: ${wanted}`);
  return queues;
}
