/** What core needs to know of a broker to treat it right. Each entry is branched on by core or by a contract case. */
export interface TransportCapabilities {
  /** Messages survive the death of the broker's process. */
  readonly durable: boolean;
  /**
   * How a handler retry is made. `copy`: a copy to the queue with our attempt header, then the original is acked.
   * `redelivery`: `release(delayMs)`; the broker holds the message meanwhile, without a slot of the prefetch, and each of
   * its deliveries says its `deliveryCount`, which is where the attempt comes from.
   */
  readonly retry: 'copy' | 'redelivery';
  /**
   * The longest that `release` holds a message, in milliseconds, where retries are made so: one that has to wait for longer is
   * made by copy. Left out: as long as is asked.
   */
  readonly maxReleaseMs?: number;
  /** `*` and `#` in routes, decided by the broker. False: core refuses them at boot. */
  readonly wildcards: boolean;
  /**
   * How the broker keeps the messages of one key in order over several processes. `none`: not at all. `queue`: it gives a
   * queue to one consumer at a time, and `partitioning` splits queues by key. `key`: by itself, it hands the messages of
   * a key to one consumer at a time.
   */
  readonly keyOrder: 'none' | 'queue' | 'key';
  /**
   * The longest `dueAt` ahead that the transport takes, in milliseconds; 0 where it takes none. A copy with a longer wait
   * goes in several hops.
   */
  readonly maxDelayMs: number;
  /**
   * How long a delivery stays ours without `extend`, in milliseconds; Infinity where it stays until the connection ends.
   * Core extends what is here, messages that wait for their handler included, while the process lives.
   */
  readonly leaseMs: number;
  /**
   * How long the broker lets a delivery be unsettled before it takes back all that the consumer holds, in milliseconds; left
   * out where it does not mind.
   */
  readonly ackTimeoutMs?: number;
  /** What the broker's wait for an ack is called there, for whoever has to raise it. */
  readonly ackTimeoutName?: string;
  /** Queues that somebody else has made can be used as they are (`adopt` of a topology). Default false. */
  readonly adopts?: boolean;
  /** A queue of one process alone stays where that process was killed, until somebody deletes it. Default false. */
  readonly keepsExclusive?: boolean;
  /** The largest body in bytes that is sent at all; a larger one is refused before it reaches the broker. */
  readonly maxBytes: number;
}
