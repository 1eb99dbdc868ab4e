import type {
  ChangeMessageVisibilityBatchCommandOutput,
  DeleteMessageBatchCommandOutput,
  Message,
  ReceiveMessageCommandOutput,
} from '@aws-sdk/client-sqs';
import type { Clock } from '../../clock/clock.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { SubscribeHandlers } from '../../transport/transport.js';
import { isOverWhatWasSent } from './errors.js';
import type { Link } from './link.js';
import type { SqsDelivery } from './delivery.js';
import type { QueueRecord } from './routes.js';

/** The most entries of a request. */
export const MOST_AT_ONCE = 10;

export interface SessionOptions {
  readonly record: QueueRecord;
  /** Of what other clients send with a route. */
  readonly topic: string;
  /** The messages of a group are handled one after the other, each when the one before it is done with. */
  readonly fifo: boolean;
  readonly prefetch: number;
  readonly leaseMs: number;
  /** SQS holds an empty poll open. */
  readonly waits: boolean;
  readonly clock: Clock;
  readonly handlers: SubscribeHandlers;
  readonly describe: (error: unknown) => string;
  /** Says that the queue is consumed, or not any more. */
  readonly present: (by: string, isThere: boolean) => Promise<void>;
  /** What is to be retried stays with the process, where it keeps its order; else it goes back together with what follows it. */
  readonly rests: boolean;
  readonly presentEveryMs: number;
  readonly publish: (to: Outgoing) => Promise<PublishResult>;
}

export interface Ack {
  readonly delivery: SqsDelivery;
  readonly answer?: (taken: boolean) => void;
}

export interface Release {
  readonly delivery: SqsDelivery;
  readonly delayMs: number;
}

/** A delivery, and for how many seconds nobody shall see it. */
export interface Visibility {
  readonly delivery: SqsDelivery;
  readonly seconds: number;
}

/** What SQS said of a batch: entries that it has done, and those that it never will, for they are not ours any more. */
export interface Answer {
  readonly done: ReadonlySet<SqsDelivery>;
  readonly lost: ReadonlySet<SqsDelivery>;
  /** Both. */
  readonly settled: ReadonlySet<SqsDelivery>;
}

interface Results {
  readonly Successful?: readonly { readonly Id?: string }[];
  readonly Failed?: readonly { readonly Id?: string; readonly Code?: string }[];
}

/** Where the messages of one consumer come from, and who is told what became of them. */
export interface MessageSource {
  /** Up to so many; it waits for some. */
  receive(count: number): Promise<readonly Message[]>;
  remove(deliveries: readonly SqsDelivery[]): Promise<Answer>;
  hide(changes: readonly Visibility[]): Promise<Answer>;
  /** As far as SQS does it now. */
  hideAll(changes: readonly Visibility[]): Promise<void>;
  recover(acks: readonly Ack[], changes: readonly Visibility[]): Promise<void>;
  /** Hides them for `ms` more, as far as that is later. @returns those that are not ours any more */
  keep(deliveries: readonly SqsDelivery[], ms: number, now: number): Promise<readonly SqsDelivery[]>;
  /** Nobody receives from it any more. */
  close(): void;
  /** Nothing that was received can be settled any more. */
  end?(): void;
  /** Of messages that came together, those that follow in the group and were not received: none is handled before this one. */
  stopGroup?(delivery: SqsDelivery): readonly Message[];
  /** Whether the message is of a group that was stopped. */
  isStopped?(message: Message): boolean;
}

/** The requests of one consumer that polls. */
export class Claims implements MessageSource {
  constructor(
    private readonly link: Link,
    private readonly url: string,
    private readonly visibilitySeconds: number,
    private readonly waitSeconds: number,
  ) {}

  async receive(count: number): Promise<readonly Message[]> {
    const command = new this.link.sdk.ReceiveMessageCommand({
      QueueUrl: this.url,
      MaxNumberOfMessages: Math.min(count, MOST_AT_ONCE),
      VisibilityTimeout: this.visibilitySeconds,
      WaitTimeSeconds: this.waitSeconds,
      MessageAttributeNames: ['All'],
      // Servers know the one or the other.
      AttributeNames: ['All'],
      MessageSystemAttributeNames: ['ApproximateReceiveCount', 'MessageGroupId', 'SentTimestamp'],
    });
    return (await this.link.poll<ReceiveMessageCommandOutput>(command)).Messages ?? [];
  }

  async remove(deliveries: readonly SqsDelivery[]): Promise<Answer> {
    const Entries = deliveries.map(({ handle }, at) => ({ Id: String(at), ReceiptHandle: handle }));
    const command = new this.link.sdk.DeleteMessageBatchCommand({ QueueUrl: this.url, Entries });
    return answerOf(await this.link.ask<DeleteMessageBatchCommandOutput>(command), deliveries);
  }

  async hide(changes: readonly Visibility[]): Promise<Answer> {
    const Entries = changes.map(({ delivery, seconds }, at) => ({
      Id: String(at),
      ReceiptHandle: delivery.handle,
      VisibilityTimeout: seconds,
    }));
    const command = new this.link.sdk.ChangeMessageVisibilityBatchCommand({ QueueUrl: this.url, Entries });
    const answer = await this.link.ask<ChangeMessageVisibilityBatchCommandOutput>(command);
    return answerOf(
      answer,
      changes.map(({ delivery }) => delivery),
    );
  }

  async hideAll(changes: readonly Visibility[]): Promise<void> {
    for (const batch of batchesOf(changes)) await this.hide(batch).catch(() => {});
  }

  async recover(acks: readonly Ack[], changes: readonly Visibility[]): Promise<void> {
    for (const batch of batchesOf(acks)) await this.remove(batch.map(({ delivery }) => delivery));
    for (const batch of batchesOf(changes)) await this.hide(batch);
  }

  async keep(deliveries: readonly SqsDelivery[], ms: number, now: number): Promise<readonly SqsDelivery[]> {
    const changes = deliveries
      .map((delivery) => ({ delivery, seconds: delivery.seconds(ms, now) }))
      .filter(({ delivery, seconds }) => now + seconds * 1_000 > delivery.until);
    const keepBatch = async (batch: readonly Visibility[]): Promise<readonly SqsDelivery[]> => {
      const { done, lost } = await this.hide(batch);
      for (const { delivery, seconds } of batch) if (done.has(delivery)) delivery.until = now + seconds * 1_000;
      return [...lost];
    };
    return (await Promise.all([...batchesOf(changes)].map(keepBatch))).flat();
  }

  close(): void {}
}

/** What the answer does not name has not been done. */
function answerOf({ Successful = [], Failed = [] }: Results, deliveries: readonly SqsDelivery[]): Answer {
  const named = (entries: readonly { readonly Id?: string }[]): ReadonlySet<SqsDelivery> =>
    new Set(entries.map(({ Id }) => deliveries[Number(Id)]));
  const final = Failed.filter(({ Code = '' }) => isOverWhatWasSent(Code) || /ReceiptHandle|NotInflight/.test(Code));
  const [done, lost] = [named(Successful), named(final)];
  return { done, lost, settled: new Set([...done, ...lost]) };
}

/** Batches of as many as a request takes. */
export function* batchesOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += MOST_AT_ONCE) yield items.slice(at, at + MOST_AT_ONCE);
}
