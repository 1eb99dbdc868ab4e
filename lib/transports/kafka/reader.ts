import { answered } from '../../clock/answered.js';
import type { Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import type {
  GroupMember,
  GroupPlace,
  IncomingRecord,
  KafkaLink,
  LogPlaces,
  MemberHandlers,
  TopicPartition,
} from './client-port.js';
import { isOverMissingTopic } from './errors.js';
import { Intake, keyOf } from './intake.js';

/** Acks are written together, so often at most. */
const COMMIT_EVERY_MS = 20;
const COMMIT_AGAIN_MS = 200;
const ANSWER_WITHIN_MS = 10_000;
/** Before leaving, the last acks are written within this time. */
const LAST_COMMIT_WITHIN_MS = 5_000;
/** With more records than these in memory nothing more is fetched; of a partition, with as many behind one that is not settled. */
const MOST_WAITING = 500;
const MAX_BYTES_PER_PARTITION = 2 ** 20;

/** Who hands over what a reader has. */
export interface RecordHolder {
  /** There may be something to hand over. */
  wake(): void;
  /** These partitions are no longer ours, or may not have been all the time. */
  revoked(intake: Intake): void;
  /** The reader has ended. */
  over(reason: string): void;
}

export interface ReaderOptions {
  readonly group: string;
  readonly topics: readonly string[];
  readonly clock: Clock;
  readonly takes: (record: IncomingRecord) => boolean;
  /** The most that are handled at a time. */
  readonly prefetch: number;
  readonly warn: (message: string) => void;
  /** The places of the group in a topic; rejects while there is no connection. */
  readonly placesIn: (topic: string) => Promise<readonly GroupPlace[]>;
  /** Where reading ends, by `keyOf`: for a look. */
  readonly ends?: ReadonlyMap<string, number>;
  /** It has other partitions. */
  readonly rebalanced?: () => void;
}

/** A record together with the partition that it is of. */
export interface PartitionRecord {
  readonly record: IncomingRecord;
  readonly intake: Intake;
}

/**
 * A member of a group, with what it has read and what of it is settled. It outlives the connections it reads by: as long as
 * the group knows it, its partitions are its own.
 */
export class GroupReader implements MemberHandlers {
  /** Why it can be used no more. */
  ending?: string;
  private readonly intakes = new Map<string, Intake>();
  private member?: GroupMember;
  private holder?: RecordHolder;
  private room = (): void => {};
  private full?: Promise<void>;
  private committing?: Promise<void>;
  private leaving?: Promise<void>;
  /** It is being asked where the group was. */
  private learning?: Promise<void>;
  /** How often it was told its partitions. */
  private generation = 0;

  private constructor(private readonly options: ReaderOptions) {}

  static async join(client: KafkaLink, options: ReaderOptions): Promise<GroupReader> {
    const reader = new GroupReader(options);
    const { group, topics } = options;
    reader.member = await client.join({ group, topics, maxBytes: MAX_BYTES_PER_PARTITION }, reader);
    return reader;
  }

  attach(holder: RecordHolder): void {
    this.holder = holder;
    holder.wake();
  }

  detach(holder: RecordHolder): void {
    if (this.holder === holder) this.holder = undefined;
  }

  /** The oldest of all partitions, so that what was sent first by one way is not overtaken by what was sent by another. */
  next(): PartitionRecord | undefined {
    let first: Intake | undefined;
    for (const intake of this.intakes.values())
      if (intake.head && (!first || isBefore(intake.head, first.head!))) first = intake;
      else if (!intake.isHeld && intake.isBlocked) this.hold(intake);
    const record = first?.take();
    if (record && this.full && this.size <= MOST_WAITING / 2) this.room();
    return record && { record, intake: first! };
  }

  settle({ record, intake }: PartitionRecord): void {
    intake.settle(record);
    if (intake.isHeld && !intake.isBlocked) this.resume(intake);
    this.commitSoon();
  }

  giveBack({ record, intake }: PartitionRecord): void {
    if (this.intakes.get(keyOf(intake)) === intake) intake.giveBack(record);
  }

  assigned(partitions: readonly TopicPartition[], anew: boolean): void {
    this.generation++;
    const keys = new Set(partitions.map(keyOf));
    for (const [key, intake] of this.intakes) {
      if (keys.has(key) && !anew) continue;
      this.intakes.delete(key);
      if (intake.isHeld) this.resume(intake);
      this.holder?.revoked(intake);
    }
    const { takes, prefetch, ends } = this.options;
    const added: Intake[] = [];
    for (const { topic, partition } of partitions) {
      const key = keyOf({ topic, partition });
      if (this.intakes.has(key)) continue;
      const options = { takes, most: Math.max(MOST_WAITING, prefetch), ...(ends && { end: ends.get(key) ?? 0 }) };
      added.push(new Intake(topic, partition, options));
      this.intakes.set(key, added.at(-1)!);
    }
    if (added.length > 0) {
      const learning = Promise.all([this.learning, this.learn(added)]).then(() => {
        if (this.learning === learning) this.learning = undefined;
      });
      this.learning = learning;
    }
    if (this.size <= MOST_WAITING / 2) this.room();
    this.options.rebalanced?.();
  }

  records(
    from: TopicPartition,
    records: readonly IncomingRecord[],
    nextOffset: number,
    { end, lowest = 0 }: LogPlaces = { end: nextOffset },
  ): Promise<void> | undefined {
    if (this.learning) {
      const { generation } = this;
      // What was read before the group was rebalanced is read again.
      return this.learning.then(() =>
        generation === this.generation ? this.records(from, records, nextOffset, { end, lowest }) : undefined,
      );
    }
    const intake = this.intakes.get(keyOf(from));
    if (!intake || this.ending !== undefined) return undefined;
    if (end < intake.next || records[0]?.offset < lowest) return void this.madeAnew([from.topic]);
    intake.add(records, nextOffset);
    if (intake.hasUncommitted) this.commitSoon();
    this.holder?.wake();
    if (this.size <= MOST_WAITING) return undefined;
    this.full ??= new Promise((resolve) => {
      this.room = () => {
        this.full = undefined;
        this.room = () => {};
        resolve();
      };
    });
    return this.full;
  }

  /** Somebody has deleted these topics, and they are there again: what was read of them says nothing about what they have now. */
  madeAnew(topics: readonly string[]): void {
    const mine = topics.filter((one) => this.options.topics.includes(one));
    if (mine.length === 0 || this.ending !== undefined) return;
    const what = `the topic «${mine.join('» or «')}» was deleted and made again`;
    this.options.warn(`«${this.options.group}» reads all that there is: ${what}. Messages can come again`);
    this.ended(what);
  }

  /** Kafka forgets the places of groups together with the topic: one that was committed and is gone was another log's. */
  async look(): Promise<void> {
    const { committed } = this;
    for (const topic of new Set(committed.map((place) => place.topic))) {
      const there = new Set((await this.options.placesIn(topic)).map(keyOf));
      if (committed.some((place) => place.topic === topic && !there.has(keyOf(place)))) this.madeAnew([topic]);
    }
  }

  ended(reason: string): void {
    if (this.ending !== undefined) return;
    this.ending = reason;
    this.room();
    void this.member?.leave();
    this.holder?.over(reason);
  }

  /** What is settled is committed first. */
  leave(): Promise<void> {
    this.leaving ??= this.leaveAfterCommit();
    return this.leaving;
  }

  private async leaveAfterCommit(): Promise<void> {
    const { clock } = this.options;
    const alive = this.ending === undefined;
    this.ending ??= 'left the group';
    this.room();
    const done = new AbortController();
    if (alive) {
      void this.commitLast(done.signal).then(() => done.abort());
      await sleep(clock, LAST_COMMIT_WITHIN_MS, done.signal);
      done.abort();
    }
    await this.member?.leave();
    this.intakes.clear();
  }

  get group(): string {
    return this.options.group;
  }

  get topics(): readonly string[] {
    return this.options.topics;
  }

  /** How many are ours. */
  get partitions(): number {
    return this.ending === undefined ? this.intakes.size : 0;
  }

  /** What its last process has settled ahead of its place is not handed over again. */
  private async learn(added: readonly Intake[]): Promise<void> {
    const { placesIn, clock } = this.options;
    for (const topic of new Set(added.map((intake) => intake.topic))) {
      let places: readonly GroupPlace[] | undefined;
      while (this.ending === undefined && !places) {
        // Nothing is read before they are there: a question without an answer is asked again.
        places = await answered(placesIn(topic), { clock, ms: ANSWER_WITHIN_MS }).catch(() => undefined);
        if (!places) await sleep(clock, COMMIT_AGAIN_MS);
      }
      for (const place of places ?? []) added.find((intake) => keyOf(intake) === keyOf(place))?.beginAt(place);
    }
  }

  /** All of it up to the end of the look was handed over, or is not ours; or no more is before something is settled. */
  hasShown(key: string, end: number): boolean {
    const intake = this.intakes.get(key);
    return !intake || intake.isBlocked || (intake.next >= end && intake.size === 0);
  }

  /** What of a partition that is ours waits here, and from where on nothing was read. */
  heldOf(from: TopicPartition): { readonly next: number; readonly waiting: number } | undefined {
    const intake = this.intakes.get(keyOf(from));
    return intake && { next: intake.next, waiting: intake.size };
  }

  private get size(): number {
    let size = 0;
    for (const intake of this.intakes.values()) if (!intake.isHeld) size += intake.size;
    return size;
  }

  /** The others are read on. */
  private hold(intake: Intake): void {
    intake.isHeld = true;
    this.member?.hold(intake);
    if (this.size <= MOST_WAITING / 2) this.room();
  }

  private resume(intake: Intake): void {
    intake.isHeld = false;
    this.member?.resume(intake);
  }

  private commitSoon(): void {
    if (this.ending === undefined) this.committing ??= this.commitAll().finally(() => (this.committing = undefined));
  }

  /** While the group is rebalanced nothing is taken: what is still ours then is committed afterwards. */
  private async commitAll(): Promise<void> {
    const { clock } = this.options;
    await Promise.resolve();
    while (this.ending === undefined && [...this.intakes.values()].some((intake) => intake.hasUncommitted)) {
      const pause = await this.commit().then(
        () => COMMIT_EVERY_MS,
        () => COMMIT_AGAIN_MS,
      );
      await new Promise<void>((resolve) => clock.after(pause, resolve, { background: true }));
    }
  }

  private async commitLast(late: AbortSignal): Promise<void> {
    await this.committing;
    while (
      !late.aborted &&
      !(await this.commit().then(
        () => true,
        () => false,
      ))
    )
      await sleep(this.options.clock, COMMIT_AGAIN_MS, late);
  }

  private async commit(): Promise<void> {
    const intakes = [...this.intakes.values()].filter((intake) => intake.hasUncommitted);
    if (intakes.length === 0 || !this.member) return;
    const places = intakes.map((intake) => intake.takeUncommitted()!);
    try {
      await this.member.commit(places);
      for (const [at, { offset }] of places.entries()) intakes[at].wasCommitted(offset);
    } catch (error) {
      for (const intake of intakes) intake.wasNotCommitted();
      // Once the topic is there again the place would be taken, in a log that has nothing to do with it.
      if (isOverMissingTopic(error)) this.madeAnew([...new Set(places.map(({ topic }) => topic))]);
      throw error;
    }
  }

  /** What it has committed of the partitions that it has now. */
  get committed() {
    return [...this.intakes.values()].flatMap((intake) => intake.place ?? []);
  }
}

function isBefore(one: IncomingRecord, other: IncomingRecord): boolean {
  return one.timestamp < other.timestamp;
}
