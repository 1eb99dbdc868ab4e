import type {
  ChangeMessageVisibilityBatchCommandOutput,
  DeleteMessageBatchCommandOutput,
  Message,
  ReceiveMessageCommandOutput,
} from '@aws-sdk/client-sqs';
import { isOverWhatWasSent } from './errors.js';
import type { Link } from './link.js';
import type { SqsDelivery } from './delivery.js';

/** The most entries of a request. */
export const MOST_AT_ONCE = 10;

/** A delivery, and for how many seconds nobody shall see it. */
export interface Visibility {
  readonly delivery: SqsDelivery;
  readonly seconds: number;
}

/** What SQS said of a batch: entries that it has done, and those that it never will, for they are not ours any more. */
export interface Answer {
  readonly done: ReadonlySet<SqsDelivery>;
  readonly lost: ReadonlySet<SqsDelivery>;
}

interface Results {
  readonly Successful?: readonly { readonly Id?: string }[];
  readonly Failed?: readonly { readonly Id?: string; readonly Code?: string }[];
}

/** The requests of one consumer. */
export class Claims {
  constructor(
    readonly link: Link,
    readonly url: string,
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
      MessageSystemAttributeNames: ['ApproximateReceiveCount', 'MessageGroupId'],
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
}

/** What the answer does not name has not been done. */
function answerOf({ Successful = [], Failed = [] }: Results, deliveries: readonly SqsDelivery[]): Answer {
  const named = (entries: readonly { readonly Id?: string }[]): ReadonlySet<SqsDelivery> =>
    new Set(entries.map(({ Id }) => deliveries[Number(Id)]));
  const final = Failed.filter(({ Code = '' }) => isOverWhatWasSent(Code) || /ReceiptHandle|NotInflight/.test(Code));
  return { done: named(Successful), lost: named(final) };
}

/** Batches of as many as a request takes. */
export function* batchesOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += MOST_AT_ONCE) yield items.slice(at, at + MOST_AT_ONCE);
}
