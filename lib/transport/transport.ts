import type { Clock } from '../clock/clock.js';
import type { TransportCapabilities } from './capabilities.js';
import type { ConsumerGroup } from './consumer-group.js';
import type { Delivery } from './delivery.js';
import type { TransportDescription } from './description.js';
import type { Outgoing, PublishResult } from './outgoing.js';
import type { Provisioning } from './provisioning.js';
import type { QueueOperations } from './queue-operations.js';
import type { ReplyPath } from './reply-path.js';
import type { TelemetryNames } from './telemetry-names.js';
import type { Partitioning, Topology } from './topology.js';

/** What `memory()`, `rabbitmq({…})`, … return: options, checked; each application that starts makes its own transport of it. */
export interface TransportFactory {
  readonly system: string;
  /** The topic of publishes and subscriptions that name none, where it is known. */
  readonly topic?: string;
  /** What tells topics of one name apart on one broker, where there is such a thing (RabbitMQ: the virtual host). */
  readonly namespace?: string;
  create(): Transport;
}

/**
 * What every broker implements. Core owns attempts, retries, dead letters and the publisher retry queue; a transport
 * owns connections: it reconnects, re-declares and re-subscribes by itself, for ever, until `close`.
 */
export interface Transport {
  /** OpenTelemetry's `messaging.system`: `rabbitmq`, `memory`, … */
  readonly system: string;
  /** Left out where the conventions have nothing for this broker alone. */
  readonly telemetryNames?: TelemetryNames;
  readonly capabilities: TransportCapabilities;
  /** The broker's address without credentials, for health and logs. */
  readonly host: string;
  /** What the server said of itself when it was looked at last, as far as messages depend on it, for health. It asks nobody. */
  readonly server?: Readonly<Record<string, string>>;

  /**
   * Starts connecting. Resolves when connected or when the broker is unreachable (connecting goes on in the background);
   * rejects only on a misconfiguration that waiting cannot cure (credentials, virtual host, protocol).
   */
  connect(environment: TransportEnvironment): Promise<void>;

  /**
   * Makes the topology exist, now and after every reconnect. Resolves at once while disconnected.
   * Rejects with TopologyMismatchError when something exists with other arguments, or is missing while `provision` is false.
   */
  declare(topology: Topology): Promise<void>;

  /**
   * Sends in the order given and calls `done` exactly once per message, at its own fate, never from within this
   * call. It does not throw. Accepts calls while disconnected: they fail at once.
   */
  publish(batch: readonly Outgoing[], done: PublishDone): void;

  /** Consumes from a declared queue, again after every reconnect. Resolves when consuming or, while disconnected, at once. */
  subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription>;

  /** Round trip to the broker; rejects when it does not answer. */
  probe(): Promise<void>;

  /** The broker's own client object(s). */
  native(): unknown;

  /** Ends everything: what is unsettled goes back to the broker, what is unconfirmed fails. Calling it again is harmless. */
  close(): Promise<void>;

  /** Absent where the broker's queues cannot be looked into; core says at boot what is missing then. */
  readonly queues?: QueueOperations;

  /** For health, from memory: the group that consumes a queue. Absent where the broker knows none. */
  group?(queue: string): ConsumerGroup | undefined;

  /** How replies travel. Absent: nobody can ask here, and what asks for a reply gets none. */
  readonly replies?: ReplyPath;

  /** Where `keyOrder` is `queue`, and only there. */
  readonly partitioning?: Partitioning;

  /** Absent where a deployment cannot be told what it would make. */
  readonly provisioning?: Provisioning;

  /** Left out where AsyncAPI has nothing to say of this broker. */
  readonly description?: TransportDescription;
}

/** Called once per message with its fate. */
export type PublishDone = (outgoing: Outgoing, result: PublishResult) => void;

/** What core gives to a transport at `connect`. */
export interface TransportEnvironment {
  readonly clock: Clock;
  /** Names the connection on the broker. */
  readonly service: string;
  /** `[0, 1)`; injected so that jitter can be tested. */
  readonly random: () => number;
  readonly reconnect: ReconnectPolicy;
  /** Milliseconds after which an unanswered publish is failed (its channel is closed first). */
  readonly confirmTimeout: number;
  /** False: nothing is created on the broker, only checked. */
  readonly provision: boolean;
  onEvent(event: TransportEvent): void;
}

/** Waiting times between connection attempts: doubled from `initial` up to `max` milliseconds, each varied by ± `jitter` (0…1). */
export interface ReconnectPolicy {
  readonly initial: number;
  readonly max: number;
  readonly jitter: number;
}

export type TransportEvent =
  /** Publishing is possible. */
  | { readonly type: 'connected' }
  /** Publishing is not possible until the next `connected`. `reason` holds no credentials. */
  | { readonly type: 'disconnected'; readonly reason: string }
  /** The broker asked publishers to stop (alarm). What is under way stays unresolved until `unblocked`. */
  | { readonly type: 'blocked'; readonly reason: string }
  | { readonly type: 'unblocked' }
  /** Something that is not an end of the connection: worth a log line. `reason`: it is why connecting failed once more, without credentials. */
  | { readonly type: 'warning'; readonly message: string; readonly reason?: string };

export interface SubscribeOptions {
  readonly topology: Topology;
  /** The most unsettled deliveries at a time; at least 1. */
  readonly prefetch: number;
  /** An ack may be written so many milliseconds later, with others: there a redelivery matters less than the work. Default 0. */
  readonly ackDelayMs?: number;
}

export interface SubscribeHandlers {
  /** Must not throw. */
  delivery(delivery: Delivery): void;
  /**
   * The delivery is no longer ours (channel gone, lease expired); the broker delivers it again. `lateMs`: because something
   * that was delivered together with it, or itself, was not settled within so many milliseconds.
   */
  lost(delivery: Delivery, lateMs?: number): void;
  /** Consuming started, stopped, started again or could not start. `reason` says why it does not consume. */
  state(consuming: boolean, reason?: string): void;
}

export interface TransportSubscription {
  readonly consuming: boolean;
  /** No new deliveries; those under way stay ours. */
  pause(): void;
  resume(): void;
  /**
   * Begins to consume anew, as after a loss: for a consumer that gets nothing although messages are ready. What is
   * unsettled goes back, reported as `lost`, or stays ours to settle. Absent where getting nothing is nothing wrong, because another consumer is the active
   * one of the queue.
   */
  attachAgain?(reason: string): void;
  /**
   * Ends the intake: resolves when nothing is delivered any more. What was on its way until then is still delivered, so
   * that its receiver decides how to give it back. Those under way stay ours and can still be settled until `close` of the
   * transport. Calling it again is harmless.
   *
   * With `giveBack` everything unsettled goes back together with the end of the intake, as one step and to its old place
   * where the broker can do so, so that nobody else receives later messages in between; those are reported as `lost`. A
   * transport that cannot leaves them to the caller, as without it.
   */
  stop(giveBack?: boolean): Promise<void>;
}
