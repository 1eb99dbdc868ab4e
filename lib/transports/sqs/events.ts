import type { Message, MessageAttributeValue } from '@aws-sdk/client-sqs';
import { UnsupportedError } from '../../errors/configuration-errors.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { Ack, Answer, Claims, MessageSource, Visibility } from './claims.js';
import type { SqsDelivery } from './delivery.js';

/** A message as Lambda hands it over. */
export interface SqsRecord {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string | undefined>>;
  readonly messageAttributes: Readonly<
    Record<string, { readonly dataType: string; readonly stringValue?: string; readonly binaryValue?: string }>
  >;
  /** The ARN of the queue. */
  readonly eventSourceARN: string;
}

interface Entry {
  readonly message: Message;
  /** Aborted at the end of the event that the message came in. */
  readonly event: AbortSignal;
  /** Whether the message was handled and may be deleted. */
  readonly settle: (isHandled: boolean) => void;
}

/** The messages of events: Lambda deletes what was handled, and what was not comes again when it is not hidden any more. */
export class EventSource implements MessageSource {
  private readonly waiting: Entry[] = [];
  /** By their receipt handles, from the event until they are settled. */
  private readonly entries = new Map<string, Entry>();
  private receivers: (() => void)[] = [];
  /** Groups of each event in which a message was not handled. */
  private readonly stopped = new WeakMap<AbortSignal, Set<string>>();
  private isClosed = false;

  constructor(private readonly claims: Claims) {}

  /** Resolves with whether the message was handled; where `over` is aborted it was not, and is lost to its handler. */
  take(record: SqsRecord, over: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const message = messageOf(record);
      const handle = record.receiptHandle;
      const settle = (isHandled: boolean): void => {
        this.entries.delete(handle);
        over.removeEventListener('abort', tooLate);
        resolve(isHandled);
      };
      const tooLate = (): void => settle(false);
      over.addEventListener('abort', tooLate);
      const entry = { message, settle, event: over };
      this.entries.set(handle, entry);
      this.waiting.push(entry);
      if (this.isClosed || over.aborted) settle(false);
      for (const receive of this.receivers.splice(0)) receive();
    });
  }

  async receive(count: number): Promise<readonly Message[]> {
    while (this.waiting.length === 0 && !this.isClosed)
      await new Promise<void>((resolve) => this.receivers.push(resolve));
    const found = this.waiting.splice(0, count).map(({ message }) => message);
    return found.filter(({ ReceiptHandle = '' }) => this.entries.has(ReceiptHandle));
  }

  stopGroup({ handle, group }: SqsDelivery): readonly Message[] {
    const event = this.entries.get(handle)?.event;
    if (!event) return [];
    const groups = this.stopped.get(event) ?? new Set();
    this.stopped.set(event, groups.add(group));
    const following = this.waiting.filter(({ message }) => this.isStopped(message));
    for (const entry of following) this.waiting.splice(this.waiting.indexOf(entry), 1);
    return following.map(({ message }) => message);
  }

  isStopped({ ReceiptHandle = '', Attributes }: Message): boolean {
    const event = this.entries.get(ReceiptHandle)?.event;
    return event !== undefined && (this.stopped.get(event)?.has(Attributes?.MessageGroupId ?? '') ?? false);
  }

  remove(deliveries: readonly SqsDelivery[]): Promise<Answer> {
    return Promise.resolve(this.settled(deliveries, true));
  }

  /** In the order given, so that nothing of a group is there again before what it follows is hidden. */
  async hide(changes: readonly Visibility[]): Promise<Answer> {
    await this.claims.hideAll(changes);
    return this.settled(
      changes.map(({ delivery }) => delivery),
      false,
    );
  }

  hideAll(changes: readonly Visibility[]): Promise<void> {
    return this.claims.hideAll(changes);
  }

  async recover(acks: readonly Ack[], changes: readonly Visibility[]): Promise<void> {
    this.settled(
      acks.map(({ delivery }) => delivery),
      true,
    );
    await this.hide(changes);
  }

  /** Until the end of the event. */
  keep(deliveries: readonly SqsDelivery[], ms: number, now: number): Promise<readonly SqsDelivery[]> {
    for (const delivery of deliveries) delivery.until = now + ms;
    return Promise.resolve(deliveries.filter(({ handle }) => !this.entries.has(handle)));
  }

  close(): void {
    this.isClosed = true;
    for (const { settle } of this.waiting.splice(0)) settle(false);
    for (const receive of this.receivers.splice(0)) receive();
  }

  /** What is still being handled cannot be settled any more: the event must not wait for that. */
  end(): void {
    this.close();
    for (const { settle } of [...this.entries.values()]) settle(false);
  }

  private settled(deliveries: readonly SqsDelivery[], isHandled: boolean): Answer {
    const done = new Set(deliveries.filter(({ handle }) => this.entries.has(handle)));
    const settled = new Set(deliveries);
    for (const { handle } of deliveries) this.entries.get(handle)?.settle(isHandled);
    return { done, lost: new Set(deliveries.filter((delivery) => !done.has(delivery))), settled };
  }
}

function messageOf({ messageId, receiptHandle, body, attributes, messageAttributes }: SqsRecord): Message {
  const found = Object.entries(messageAttributes).map(([name, { dataType, stringValue, binaryValue }]) => [
    name,
    {
      DataType: dataType,
      ...(stringValue !== undefined && { StringValue: stringValue }),
      ...(binaryValue !== undefined && { BinaryValue: Buffer.from(binaryValue, 'base64') }),
    },
  ]);
  return {
    MessageId: messageId,
    ReceiptHandle: receiptHandle,
    Body: body,
    Attributes: attributes,
    MessageAttributes: Object.fromEntries(found) as Record<string, MessageAttributeValue>,
  };
}

/** Why an event cannot be handled: all of it comes again. */
export function notConsumed(arn: string, queues: readonly string[], isConnected: boolean): Error {
  if (!isConnected) return new NotConnectedError('Not connected to SQS: the event comes again');
  return new UnsupportedError(
    `No subscription consumes from ${arn}; subscribed are ${queues.map((queue) => `«${queue}»`).join(', ') || 'none'}: look at the trigger of the function and at «prefix»`,
  );
}
