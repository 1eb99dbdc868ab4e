/*
 * What is asked of a client library of Kafka, and nothing of its own: the rest of this folder knows no other words. A link
 * is what is sent and administered with; a member reads in a group. Offsets are numbers: a log has less than 2^53 records.
 */

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface TopicPartitionOffset extends TopicPartition {
  readonly offset: number;
}

/** The place of a group in a partition, and what is kept with it. */
export interface GroupPlace extends TopicPartitionOffset {
  readonly metadata?: string;
}

export interface LogRange extends TopicPartition {
  readonly first: number;
  readonly end: number;
}

/** Values of a header; a foreign client may repeat a name. */
export type RecordHeaders = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;

/** A record to be written. Its partition is decided once, by the key or in turn, also where it is sent again. */
export interface OutgoingRecord {
  readonly topic: string;
  readonly key: string | Buffer | null;
  readonly value: Buffer;
  readonly headers: RecordHeaders;
}

/** A record as it was read. */
export interface IncomingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since the epoch, of the producer's clock or of the broker's. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  /** Null: a tombstone. */
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
  /** As the client handed it over. */
  readonly raw: object;
}

export interface NewTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly config: Readonly<Record<string, string>>;
}

/** Why the broker, or the client in its place, did not take something: the name that Kafka's protocol gives it. */
export class ClientError extends Error {
  constructor(
    message: string,
    /** `MESSAGE_TOO_LARGE`, `TOPIC_AUTHORIZATION_FAILED`, …; undefined: it got no answer. */
    readonly type: string | undefined,
    /** The credentials were refused. */
    readonly unauthenticated = false,
  ) {
    super(message);
  }
}

/** An open link to a cluster. All reject with a ClientError. */
export interface KafkaLink {
  /** The library's own object for the same cluster. */
  readonly native: unknown;
  /** Every topic and how many partitions it has. */
  topics(): Promise<Map<string, number>>;
  /** Resolves once each has its leaders; one that is there already is left as it is. */
  createTopics(topics: readonly NewTopic[]): Promise<void>;
  deleteTopics(topics: readonly string[]): Promise<void>;
  /** The places of a group in a topic, or in all; without partitions where it has none. */
  committed(group: string, topic?: string): Promise<readonly GroupPlace[]>;
  /** Where the first records are, and the next ones will be written. */
  ranges(topic: string): Promise<readonly LogRange[]>;
  /** `state`: as the broker calls it. */
  groups(names: readonly string[]): Promise<ReadonlyMap<string, { readonly state: string; readonly members: number }>>;
  /** Where the first record from this time on is, in milliseconds since the epoch, or will be written. */
  since(topic: string, time: number): Promise<readonly TopicPartitionOffset[]>;
  /** Gives a group its places where it has none. */
  place(group: string, offsets: readonly TopicPartitionOffset[]): Promise<void>;
  /** Cuts off what is below these places. */
  truncate(places: readonly TopicPartitionOffset[]): Promise<void>;
  /** Writes with acks of all replicas in sync. One at a time. Rejects when any of them may not be written. */
  produce(records: readonly OutgoingRecord[]): Promise<void>;
  join(options: MemberOptions, handlers: MemberHandlers): Promise<GroupMember>;
  /** Round trip to the cluster. */
  ping(): Promise<void>;
  end(): Promise<void>;
  /** Closes every socket of the link at once: nothing that was sent is under way any more. */
  destroy(): void;
}

export interface MemberOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** Records after which the client is asked to wait are read in chunks of so many bytes at most, per partition. */
  readonly maxBytes: number;
}

export interface LogPlaces {
  /** Where the next record will be written. */
  readonly end: number;
  /** What the client reads again of a log does not begin below this place. */
  readonly lowest?: number;
}

export interface MemberHandlers {
  /**
   * The partitions from now on. `anew`: the member was out of the group meanwhile, so that what it holds of any of them may
   * have been read by others.
   */
  assigned(partitions: readonly TopicPartition[], anew: boolean): void;
  /**
   * Records of one partition in their order; the same may come again after a rebalance. The client reads on when it
   * resolves, and stays a member meanwhile.
   */
  records(
    from: TopicPartition,
    records: readonly IncomingRecord[],
    nextOffset: number,
    log?: LogPlaces,
  ): Promise<void> | undefined;
  /** It is out of the group for good. */
  ended(reason: string): void;
}

/** A member of a group, also over the loss of its connections. */
export interface GroupMember {
  /** Rejects while the group is rebalanced. */
  commit(places: readonly GroupPlace[]): Promise<void>;
  /** Reading a partition goes on from this offset at this time, by a timer of the caller's; see `resume`. */
  holdAt(place: TopicPartitionOffset): void;
  /** Nothing more of this partition is read until it is resumed. */
  hold(from: TopicPartition): void;
  resume(from: TopicPartition): void;
  leave(): Promise<void>;
}

/** Opens links. */
export interface KafkaClient {
  /** `lost`: a connection of the link that was open has ended, by the other side. */
  open(lost: (reason: string) => void): Promise<KafkaLink>;
}
