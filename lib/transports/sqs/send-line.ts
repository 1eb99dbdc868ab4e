import type { SendMessageBatchCommandOutput } from '@aws-sdk/client-sqs';
import { answered } from '../../clock/answered.js';
import { sleep } from '../../clock/sleep.js';
import { PublishFailedError, PublishRefusedError } from '../../errors/publish-errors.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../transport/transport.js';
import { type Encoded, MOST_BYTES } from './codec.js';
import { isAnswer, isGone, isOverWhatWasSent, nameOf } from './errors.js';
import type { Link } from './link.js';
import type { Place } from './sns.js';

const MOST_ENTRIES = 10;
/** What SQS did not take is sent again after so long, twice as long each time, and so many times: then core has it. */
const AGAIN_AFTER_MS = 50;
const MOST_FAILURES = 5;
/** Requests for one queue at a time. They may overtake each other: of a key one message, or one batch, is under way. */
const MOST_BATCHES = 8;
/** So many that have to wait for their key are looked past. */
const MOST_PASSED = 1_000;

/** A message on its way to its queues. */
export interface Sending {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
  /** Queues that have not answered. */
  left: number;
  failure?: PublishResult;
}

/** One copy of a message, for one queue. */
interface Copy extends Encoded {
  readonly sending: Sending;
  /** What has the same is not overtaken. */
  readonly key: string | undefined;
  /** How often SQS did not take it. */
  failures: number;
}

/** What became of one entry of a request. */
interface Fate {
  readonly result: PublishResult;
  /** Sending the same again may help. */
  readonly again?: boolean;
}

interface LineParts {
  /** SQS may store what follows an entry that it did not take: so no key is twice in a request. */
  readonly onePerKey: boolean;
  readonly environment: TransportEnvironment;
  readonly describe: (error: unknown) => string;
  readonly stored: () => void;
  readonly gone: () => void;
  readonly late: () => void;
  readonly idle: () => void;
}

/** What is sent to one queue, in batches: several at a time, where they are full. What SQS did not take of one goes first. */
export class SendLine {
  private waiting: Copy[] = [];
  private readonly underWay = new Set<readonly Copy[]>();
  private isStarting = false;
  private isResting = false;
  /** By the monotonic clock. */
  private restsUntil = 0;
  private over = false;

  constructor(
    readonly link: Link,
    private readonly place: Place,
    private readonly parts: LineParts,
  ) {}

  add(copy: Copy): void {
    this.waiting.push(copy);
    if (this.isStarting) return;
    this.isStarting = true;
    // The rest of the turn shares the batch.
    queueMicrotask(() => {
      this.isStarting = false;
      this.start();
    });
  }

  fail(result: PublishResult): void {
    this.over = true;
    const copies = [...this.underWay, this.waiting].flat();
    this.underWay.clear();
    this.waiting = [];
    for (const copy of copies) settle(copy, result);
  }

  private start(): void {
    while (!this.over && !this.isResting && this.underWay.size < MOST_BATCHES) {
      const batch = this.nextBatch();
      if (!batch) break;
      this.underWay.add(batch);
      void this.deliver(batch);
    }
    const isIdle = this.waiting.length === 0 && this.underWay.size === 0 && !this.isResting;
    if (isIdle && !this.over) this.parts.idle();
  }

  private async deliver(batch: readonly Copy[]): Promise<void> {
    const fates = await this.send(batch);
    if (this.over) return;
    this.underWay.delete(batch);
    const again = batch.filter((copy, at) => fates[at].again && ++copy.failures < MOST_FAILURES);
    batch.forEach((copy, at) => again.includes(copy) || settle(copy, fates[at].result));
    if (batch.length > again.length) this.parts.stored();
    if (again.length > 0) {
      this.waiting = [...again, ...this.waiting];
      void this.rest(AGAIN_AFTER_MS * 2 ** (again[0].failures - 1));
    }
    this.start();
  }

  /** A service that is busy gets nothing more meanwhile. Of several pauses the longest counts. */
  private async rest(ms: number): Promise<void> {
    const { clock } = this.parts.environment;
    this.restsUntil = Math.max(this.restsUntil, clock.monotonic() + ms);
    if (this.isResting) return;
    this.isResting = true;
    const { signal } = this.link;
    for (let left = ms; left > 0 && !signal.aborted; left = this.restsUntil - clock.monotonic())
      await sleep(clock, left, signal);
    this.isResting = false;
    this.start();
  }

  /** Undefined: nothing may go now. */
  private nextBatch(): readonly Copy[] | undefined {
    const most = this.place.sns?.mostBytes ?? MOST_BYTES;
    const busy = new Set<string | undefined>();
    for (const batch of this.underWay) for (const { key } of batch) busy.add(key);
    busy.delete(undefined);
    const batch: Copy[] = [];
    const passed: Copy[] = [];
    let bytes = 0;
    let at = 0;
    for (; at < this.waiting.length && batch.length < MOST_ENTRIES && passed.length < MOST_PASSED; at++) {
      const copy = this.waiting[at];
      const { key } = copy;
      const mustWait = key !== undefined && busy.has(key);
      if (!mustWait && batch.length > 0 && bytes + copy.bytes > most) break;
      (mustWait ? passed : batch).push(copy);
      if (!mustWait) bytes += copy.bytes;
      if (key !== undefined && (mustWait || this.parts.onePerKey)) busy.add(key);
    }
    const isFull = batch.length === MOST_ENTRIES || at < this.waiting.length;
    if (batch.length === 0 || (!isFull && this.underWay.size > 0)) return undefined;
    this.waiting.splice(0, at, ...passed);
    return batch;
  }

  /** It does not reject. */
  private async send(batch: readonly Copy[]): Promise<readonly Fate[]> {
    const { environment, describe, late, gone } = this.parts;
    const { clock, confirmTimeout: ms } = environment;
    try {
      return fatesOf(await answered(this.ask(batch), { clock, ms }, late), batch.length);
    } catch (error) {
      const text = `${this.place.sns ? 'SNS' : 'SQS'} did not store the message: ${describe(error)}`;
      if (isGone(error)) gone();
      // One that spoils a request must not take the others along.
      else if (isAnswer(error) && isOverWhatWasSent(nameOf(error)))
        return batch.length === 1 ? [refused(text)] : this.oneByOne(batch);
      return batch.map(() => failed(text, isAnswer(error) && !isGone(error)));
    }
  }

  private ask(batch: readonly Copy[]): Promise<BatchAnswer> {
    const { link, place } = this;
    const entries = batch.map(({ entry }, at) => ({ Id: String(at), ...entry }));
    if (!place.sns) return link.ask(new link.sdk.SendMessageBatchCommand({ QueueUrl: place.url, Entries: entries }));
    const PublishBatchRequestEntries = entries.map(({ MessageBody: Message, ...rest }) => ({ ...rest, Message }));
    const { sdk, ask } = link.sns!;
    return ask(new sdk.PublishBatchCommand({ TopicArn: place.url, PublishBatchRequestEntries }));
  }

  private async oneByOne(batch: readonly Copy[]): Promise<readonly Fate[]> {
    const fates: Fate[] = [];
    for (const copy of batch) {
      // Core sends again what failed with the link.
      if (this.over) break;
      fates.push(...(await this.send([copy])));
    }
    return fates;
  }
}

const STORED: Fate = { result: CONFIRMED };

type BatchAnswer = Pick<SendMessageBatchCommandOutput, 'Successful' | 'Failed'>;

/** An entry that the answer does not name was not stored, as far as anybody knows. */
function fatesOf({ Successful = [], Failed = [] }: BatchAnswer, count: number): readonly Fate[] {
  const fates: Fate[] = [];
  for (const { Id } of Successful) fates[Number(Id)] = STORED;
  for (const { Id, Code = '', Message = '', SenderFault } of Failed) {
    const text = `SQS did not store the message: ${Code}${Message && `: ${Message}`}`;
    fates[Number(Id)] = SenderFault && isOverWhatWasSent(Code) ? refused(text) : failed(text, true);
  }
  for (let at = 0; at < count; at++) fates[at] ??= failed('SQS did not say what became of the message', true);
  return fates;
}

function refused(text: string): Fate {
  return { result: { status: 'refused', error: new PublishRefusedError(text) } };
}

function failed(text: string, again: boolean): Fate {
  return { result: { status: 'failed', error: new PublishFailedError(text) }, again };
}

/** The message has its result when all its queues have answered: the worst. */
function settle({ sending }: Copy, result: PublishResult): void {
  if (result.status !== 'confirmed' && sending.failure?.status !== 'refused') sending.failure = result;
  if (--sending.left === 0) sending.done(sending.outgoing, sending.failure ?? CONFIRMED);
}
