import type { Clock } from '../clock/clock.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { Headers } from '../message/headers.js';
import type { Delivery } from '../transport/delivery.js';
import type { Destination, Outgoing } from '../transport/outgoing.js';
import type { TelemetryNames } from '../transport/telemetry-names.js';
import type { BatchContext, BatchHandler } from './batch-context.js';
import type { MessageContext } from './message-context.js';
import type { Handler } from './middleware.js';
import type { Outcome } from './outcome.js';

/*
 * The port through which spans and metrics are made; `nestjs-messaging/opentelemetry` is behind it. Without one nothing
 * is made at all. Nothing here may throw, or change what becomes of a message.
 */

/** What `openTelemetry()` returns: options, checked; each connection makes its own telemetry of it. */
export interface TelemetryFactory {
  create(environment: TelemetryEnvironment): Telemetry;
}

/** One connection, as its telemetry sees it. */
export interface TelemetryEnvironment {
  /** The connection's name. */
  readonly connection: string;
  /** `messaging.system`. */
  readonly system: string;
  /** What the conventions have for its broker alone. */
  readonly names?: TelemetryNames;
  /** The topic (exchange) of publishes that name none, where it is known. */
  readonly topic?: string;
  /** The broker's address without credentials, as far as it is known by now. */
  readonly host: string;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  /** Where the connection stands, from memory: asks nobody. */
  state(): TelemetryState;
}

/** What is observed now and then, instead of counted as it happens. */
export interface TelemetryState {
  readonly consumers: readonly { readonly queue: string; readonly inFlight: number; readonly state?: string }[];
  readonly retryQueue: { readonly depth: number; readonly bytes: number; readonly oldestAgeMs: number };
  readonly deadLetters: {
    readonly publisher: number;
    readonly queues: readonly { readonly queue: string; readonly count: number }[];
  };
  readonly coordination?: { readonly reachable: boolean };
}

/** Told of what one connection does. */
export interface Telemetry {
  /** Before the connection is opened; what is published before is not seen. @throws MissingPeerError */
  start(): Promise<void>;
  /** A message is published. `headers` are the caller's own. */
  publish(to: Destination, headers: Headers | undefined): PublishTrace | undefined;
  /** A message is sent once more, out of the publisher retry queue. */
  resend(outgoing: Pick<Outgoing, 'to' | 'message'>): PublishTrace | undefined;
  /** The broker answered one send, or did not; `error` says why it did not take the message. */
  sent(to: Destination, error: unknown): void;
  consumer(subscription: TelemetrySubscription): ConsumerTelemetry | undefined;
  /** Somebody asks on a route, and waits for the reply. */
  request?(route: string): RequestTrace | undefined;
  close(): void;
}

export interface TelemetrySubscription {
  readonly queue: string;
  readonly group: string;
  /** Its messages are asked for one by one, instead of handed to a handler as they come. Default false. */
  readonly pulled?: boolean;
}

/** One send, from the call to what its caller is told; ended once, by one of the last three. */
export interface PublishTrace {
  /** Puts its context into the headers that the message travels with. */
  inject(id: string, headers: Record<string, unknown>, correlationId?: string): void;
  confirmed(): void;
  /** The message waits in the publisher retry queue. */
  queued(): void;
  failed(error: unknown): void;
}

/** One request, from the call to what its caller is told. */
export interface RequestTrace {
  /** Sends the request, with the trace's context active. */
  run<T>(send: () => T): T;
  /** `error`: what the caller gets instead of an answer. */
  ended(error: unknown): void;
}

/** Told of what one subscription does. */
export interface ConsumerTelemetry {
  /** Somebody asks for a message. */
  receive(): ReceiveTrace | undefined;
  /** A handler is to be called. */
  process(delivery: Delivery, attempt: number): ProcessTrace | undefined;
  /** A batch handler is to be called. */
  processBatch(deliveries: readonly Delivery[]): BatchTrace | undefined;
  /** A copy is to be written, after which the original is acked; or who was handed the message acks it. */
  settle(delivery: Delivery, operation: SettleOperation): SettleTrace | undefined;
  /** A message was dropped, or with `dlq: false` rejected. */
  dropped(): void;
}

export type SettleOperation = 'ack' | 'retry' | 'dead-letter';

/** Calls a function with the context of a handler call active. */
export type Within = <T>(work: () => T) => T;

/** From when a message was asked for until one is handed out. Nothing becomes of one that gets none. */
export interface ReceiveTrace {
  received(delivery: Delivery): Within | undefined;
}

/** One handler call. */
export interface ProcessTrace {
  /** Calls the handler, with the trace's context active. */
  run(handler: Handler, context: MessageContext): unknown;
  ended(outcome: Outcome): void;
}

/** One call with a batch. */
export interface BatchTrace {
  run(handler: BatchHandler, context: BatchContext): unknown;
  /** What each message's result is, before the retry policy looks at it. */
  ended(outcomes: readonly Outcome[]): void;
}

export interface SettleTrace {
  /** `error`: the copy was not written, or nobody knows whether the ack was taken. */
  ended(error: unknown): void;
}
