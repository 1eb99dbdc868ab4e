import type { MessagingError } from '../../errors/messaging-error.js';
import {
  MessageTooLargeError,
  PublishFailedError,
  PublishRefusedError,
  UnroutableError,
} from '../../errors/publish-errors.js';
import { unsendable } from '../../message/header-values.js';
import type { WireMessage } from '../../message/message.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import { isolate } from '../../message/isolate.js';
import { MAX_DELAY_MS } from './memory-capabilities.js';
import type { MemoryQueue } from './memory-queue.js';
import type { Address, QueueDirectory } from './queue-directory.js';
import type { Schedule } from './schedule.js';

/** Until a delayed message is offered again to a queue that was full when it was due. */
const FULL_RETRY_MS = 1_000;

/** Brings messages into queues, at once or when they are due. What is undeliverable when due is kept, if it is mandatory. */
export class MessageRouter {
  private undelivered: { readonly to: Address; readonly message: WireMessage }[] = [];

  constructor(
    private readonly directory: QueueDirectory,
    private readonly schedule: Schedule,
    private readonly now: () => number,
  ) {}

  get undeliverable(): number {
    return this.undelivered.length;
  }

  /** Routes a message, or keeps it until it is due. */
  store(to: Address, { message, mandatory, dueAt }: Outgoing, maxBytes: number): PublishResult {
    if (message.body.length > maxBytes) {
      return refused(
        new MessageTooLargeError(`The body has ${message.body.length} bytes; at most ${maxBytes} are taken`),
      );
    }
    const problem = unsendable(message.headers);
    if (problem) return refused(problem);
    const delayMs = dueAt === undefined ? 0 : dueAt - this.now();
    if (delayMs > MAX_DELAY_MS)
      return refused(new PublishRefusedError(`The delay is ${delayMs} ms; at most ${MAX_DELAY_MS} are taken`));
    if (delayMs > 0) {
      const kept = isolate(message);
      this.schedule.after(delayMs, () => this.deliverDue(to, kept, mandatory));
      return CONFIRMED;
    }
    const queues = this.directory.queuesFor(to);
    if (queues.length === 0) return mandatory ? unroutable(to) : CONFIRMED;
    const full = this.offer(queues, to, isolate(message));
    return full.length === 0 ? CONFIRMED : failed(`Queue «${full[0].name}» is full`);
  }

  /** Returns the queues that are full. The others have the message, as on RabbitMQ, so that a resend is a duplicate there. */
  private offer(queues: readonly MemoryQueue[], to: Address, message: WireMessage): MemoryQueue[] {
    const topic = to.kind === 'queue' ? undefined : to.topic;
    return queues.filter((queue) => !queue.offer(message, topic));
  }

  private deliverDue(to: Address, message: WireMessage, mandatory: boolean, only?: readonly MemoryQueue[]): void {
    const queues = only ?? this.directory.queuesFor(to);
    if (queues.length === 0) {
      if (mandatory) this.undelivered.push({ to, message });
      return;
    }
    const full = this.offer(queues, to, message);
    if (full.length > 0) this.schedule.after(FULL_RETRY_MS, () => this.deliverDue(to, message, mandatory, full));
  }

  /** Tries again what nobody took: there may be a new binding. */
  deliverUndelivered(): void {
    if (this.undelivered.length === 0) return;
    const waiting = this.undelivered;
    this.undelivered = [];
    for (const { to, message } of waiting) this.deliverDue(to, message, true);
  }
}

function unroutable(to: Address): PublishResult {
  const error = new UnroutableError(
    to.kind === 'queue'
      ? `There is no queue «${to.queue}»`
      : `No queue is bound for route «${to.route}» on «${to.topic}»`,
  );
  return { status: 'unroutable', error };
}

function refused(error: MessagingError): PublishResult {
  return { status: 'refused', error };
}

function failed(message: string): PublishResult {
  return { status: 'failed', error: new PublishFailedError(message) };
}
