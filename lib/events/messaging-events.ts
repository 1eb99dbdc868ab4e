import { channel, type Channel } from 'node:diagnostics_channel';
import type { MessagingError } from '../errors/messaging-error.js';
import type { DeliveryView } from '../transport/delivery-view.js';
import type { Destination } from '../transport/outgoing.js';
import type { DeadLetterAlert } from './dead-letter-alert.js';

/** What `messaging.events` reports, by name. */
export interface MessagingEventMap {
  /** Publishing is possible (again). */
  connected: { readonly host: string };
  disconnected: { readonly host: string; readonly reason: string };
  /** The broker asked publishers to stop; `unblocked` ends it. */
  blocked: { readonly reason: string };
  unblocked: Record<never, never>;
  /** The broker confirmed a publish. */
  published: { readonly id: string; readonly to: Destination; readonly bytes: number };
  /** A publish went to the publisher retry queue. */
  queued: { readonly id: string; readonly to: Destination; readonly error: MessagingError };
  /** The broker gave a publish back: no queue takes it. */
  returned: { readonly id: string; readonly to: Destination };
  /** A publish is given up: it went to the publisher's dead letters, or its caller was told. */
  'publish-failed': { readonly id: string; readonly to: Destination; readonly error: MessagingError };
  /** A message reached a subscription. */
  delivered: { readonly delivery: DeliveryView; readonly attempt: number };
  /** A message was settled. `durationMs` runs from the delivery to the settlement. */
  settled: {
    readonly delivery: DeliveryView;
    readonly attempt: number;
    readonly outcome: 'ack' | 'retry' | 'dead-letter' | 'discard' | 'released';
    readonly durationMs: number;
    readonly error?: unknown;
  };
  /** A message was confirmed by its dead-letter queue. */
  'dead-lettered': {
    readonly delivery: DeliveryView;
    readonly attempt: number;
    readonly reason: string;
    readonly error?: unknown;
  };
  /** A dead letter was deleted: older than `deadLetters.maxAge`, or one more than `deadLetters.maxCount`. */
  'dead-letter-expired': {
    readonly place: string;
    readonly cause: 'maxAge' | 'maxCount';
    readonly id: string;
    readonly route: string;
    readonly reason: string;
    /** When it was given up, in milliseconds since the epoch; undefined where nobody said. */
    readonly time: number | undefined;
  };
  /** A condition of `alerts` holds, or does no more. */
  'dead-letter-alert': DeadLetterAlert;
  /** A copy (retry or dead letter) could not be written, or a store failed. Nothing is lost: the original is given back. */
  'store-error': { readonly operation: string; readonly error: MessagingError };
  /** An idempotent subscription recognised a message: `done`, it was acked; `in-progress`, it was put off. */
  duplicate: {
    readonly id: string;
    readonly queue: string;
    readonly key: string;
    readonly state: 'done' | 'in-progress';
  };
  /** A message has to wait until all processes together are within the `limit` of its subscription. */
  limited: { readonly id: string; readonly queue: string };
  /**
   * A time of a recurring message, in milliseconds since the epoch: `published`; `failed`, and tried again; `taken-over` from
   * a process that did not end it; or it and those before it were missed, and are `passed-over`.
   */
  recurring: {
    readonly name: string;
    readonly at?: number;
    readonly outcome: 'published' | 'failed' | 'taken-over' | 'passed-over';
  };
  /** A transaction's outcome was asked for. `parked`: as often as may be, without an answer; somebody has to say. */
  'transaction-checked': {
    readonly id: string;
    readonly route: string;
    readonly outcome: 'committed' | 'rolled-back' | 'unknown' | 'parked';
    readonly checks: number;
    /** Why it is not known. */
    readonly reason?: string;
  };
  /** A reply came that no request of this process waits for: any more (`late`), because it has one (`second`), or at all (`unknown`). */
  'reply-unexpected': {
    readonly correlationId: string | undefined;
    readonly reason: 'late' | 'second' | 'unknown';
  };
  /** A request was handled, and its reply could not be sent: nobody waits at its address, or it is none. */
  'reply-undeliverable': { readonly delivery: DeliveryView; readonly error: MessagingError };
  /** A subscription stopped because its handler fails too often, tries one message, or is back to normal. */
  'kill-switch': {
    readonly queue: string;
    readonly state: 'tripped' | 'probing' | 'closed';
    readonly reason: string;
  };
  /** A subscription does not consume, and why; it comes back by itself unless it was stopped or paused on purpose. */
  'consumer-stopped': { readonly queue: string; readonly reason: string };
  /** Somebody did something in the dashboard. */
  operated: { readonly operator: string; readonly action: string; readonly subject: string; readonly result: string };
}

export type MessagingEventName = keyof MessagingEventMap;

export const MESSAGING_EVENT_NAMES = [
  'connected',
  'disconnected',
  'blocked',
  'unblocked',
  'published',
  'queued',
  'returned',
  'publish-failed',
  'delivered',
  'settled',
  'dead-lettered',
  'dead-letter-expired',
  'dead-letter-alert',
  'store-error',
  'duplicate',
  'limited',
  'recurring',
  'transaction-checked',
  'reply-unexpected',
  'reply-undeliverable',
  'kill-switch',
  'consumer-stopped',
  'operated',
] as const satisfies readonly MessagingEventName[];

type Listener = (payload: never) => unknown;

/**
 * What happens in one connection, as it happens. Listeners are called synchronously, so they should be quick; one that
 * throws (or rejects) is reported to `onListenerError` and disturbs nothing. Every event is also published on the
 * `node:diagnostics_channel` named `nestjs-messaging:<event>`. Without a listener an event costs one comparison.
 */
export class MessagingEvents {
  private readonly topics = new Map<MessagingEventName, EventTopic>();

  constructor(onListenerError: (error: unknown) => void) {
    for (const name of MESSAGING_EVENT_NAMES) this.topics.set(name, new EventTopic(name, onListenerError));
  }

  /** Calls `listener` on every `name` event until the returned function is called. */
  on<N extends MessagingEventName>(name: N, listener: (payload: MessagingEventMap[N]) => void): () => void {
    const topic = this.topic(name);
    topic.add(listener);
    return () => topic.delete(listener);
  }

  /** Calls `listener` on the next `name` event only, unless the returned function is called before. */
  once<N extends MessagingEventName>(name: N, listener: (payload: MessagingEventMap[N]) => void): () => void {
    const off = this.on(name, (payload) => {
      off();
      return listener(payload);
    });
    return off;
  }

  off<N extends MessagingEventName>(name: N, listener: (payload: MessagingEventMap[N]) => void): void {
    this.topic(name).delete(listener);
  }

  /** Whether anybody listens: ask before building a payload. @internal */
  has(name: MessagingEventName): boolean {
    return this.topic(name).active;
  }

  /** @internal */
  emit<N extends MessagingEventName>(name: N, payload: MessagingEventMap[N]): void {
    this.topic(name).emit(payload);
  }

  private topic(name: MessagingEventName): EventTopic {
    const topic = this.topics.get(name);
    if (!topic)
      throw new TypeError(`There is no event «${String(name)}»; there are: ${MESSAGING_EVENT_NAMES.join(', ')}`);
    return topic;
  }
}

class EventTopic {
  private readonly listeners = new Set<Listener>();
  private readonly diagnostics: Channel;

  constructor(
    name: MessagingEventName,
    private readonly onListenerError: (error: unknown) => void,
  ) {
    this.diagnostics = channel(`nestjs-messaging:${name}`);
  }

  get active(): boolean {
    return this.listeners.size > 0 || this.diagnostics.hasSubscribers;
  }

  add(listener: Listener): void {
    this.listeners.add(listener);
  }

  delete(listener: Listener): void {
    this.listeners.delete(listener);
  }

  emit(payload: unknown): void {
    for (const listener of this.listeners) {
      try {
        const result = listener(payload as never);
        if (result instanceof Promise) result.catch(this.onListenerError);
      } catch (error) {
        this.onListenerError(error);
      }
    }
    if (this.diagnostics.hasSubscribers) this.diagnostics.publish(payload);
  }
}
