import type { IdempotentOptions } from '../../idempotency/idempotent-options.js';
import type { MessageContract, UntypedRoute } from '../../message/message-contract.js';
import type { Serializer } from '../../message/serializer.js';
import type { StandardSchema } from '../../message/standard-schema.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import type { Middleware } from '../../pipeline/middleware.js';
import type { RetryOptions } from '../../retry/retry-policy.js';
import type { AnswerOptions } from '../../request/answer-options.js';
import type { BrokerOptions } from '../../transport/broker-options.js';
import type { KillSwitchOptions } from '../kill-switch.js';
import type { Concurrency } from '../schedule/concurrency.js';
import type { LimitOptions } from './limit-options.js';

/** Name and binding of a dead-letter queue, where they differ from the defaults. */
export interface DeadLetterQueueOptions {
  /** The queue's name. Default `<group>:<name>:dlq`. */
  readonly queue?: string;
  /** The dead-letter route that binds it is `<group>:<route>`. Default `<name>:dlq`. */
  readonly route?: string;
}

/** How a queue of this process alone ends. */
export interface ExclusiveOptions {
  /**
   * Milliseconds after which the broker deletes the queue when nobody consumes it: its process was killed, or cannot reach
   * the broker. 1,000…2,147,483,647; a consumer that is paused for longer loses its queue. Default 300,000 (5 minutes).
   */
  readonly expires?: number;
}

/** What readers of documents are told; nothing else depends on it. */
export interface Described {
  /** In one line, for documents such as AsyncAPI's. */
  readonly summary?: string;
  /** In Markdown, for the same. */
  readonly description?: string;
  /** For the same. */
  readonly tags?: readonly string[];
  /** Tells readers of documents not to rely on it any more. Default false. */
  readonly deprecated?: boolean;
}

/** The options of one subscription, whether decorated or made at run time. */
export interface SubscriptionOptions extends BrokerOptions, Described {
  /**
   * Keep given-up messages in a dead-letter queue. `false`: they are given up with a
   * warning and an event: rejected where the broker may have dead letters of its own (RabbitMQ: a dead-letter exchange of
   * the queue), dropped elsewhere. Default true.
   */
  readonly dlq?: boolean | DeadLetterQueueOptions;
  /**
   * The most unsettled messages at a time in this process, 1…65,535; with `rabbitmq.partitions` in each partition. Default 10.
   */
  readonly prefetch?: number;
  /** The middle part of the queue's name; needed when there are several routes. Default: the route. */
  readonly name?: string;
  /** Consumers with the same group share the queue. Default: the service. */
  readonly group?: string;
  /** Where the route is published (RabbitMQ: the exchange). Default: the transport's. */
  readonly topic?: string;
  /** The queue's name, verbatim, instead of `<group>:<name>:queue`. */
  readonly queue?: string;
  /**
   * False: the queue is consumed, and made where it is missing, but what it is bound by is left alone: somebody else binds
   * it, or messages are sent to it by its name. The route is its name then. Default true.
   */
  readonly bind?: boolean;
  /**
   * The `queue` is somebody else's: it has to be there, and is used as it is and never declared. Bindings, dead letters and
   * delays of this subscription are put beside it. Default false.
   */
  readonly adopt?: boolean;
  /**
   * A queue of this process alone, `<group>:<name>:<host>-<random>:queue`: every process gets each message. It ends with
   * the process, with what is in it; its dead letters stay, in the dead-letter queue of all. Default false.
   */
  readonly exclusive?: boolean | ExclusiveOptions;
  /** The handler retry, or `false` for a single call. Default: the module's. */
  readonly retry?: RetryOptions | false;
  /**
   * How many handlers run at a time, and in which order: `bounded(n)`, `unbounded()`, `partitioned({ … })`, or one's own.
   * Default `unbounded()`: the prefetch is the limit.
   */
  readonly concurrency?: Concurrency;
  /**
   * What the handler calls of all processes are limited to: `{ rate, per }`, `{ concurrency }`, each with a `key` for limits of
   * their own. A message that has to wait spends no attempt. It needs the module's `coordination`. Default: none.
   */
  readonly limit?: LimitOptions;
  /**
   * Milliseconds after which a handler call counts as failed: its message is retried and its `context.signal` is aborted.
   * A handler that runs on keeps its slot of `concurrency` until it ends, for at most as long again; then another may
   * start beside it. Health shows those that run on, for as long as they do. Default: none.
   */
  readonly timeout?: number;
  /**
   * Stop consuming when the handler fails too often, and try with one message now and then. In this process; with
   * `rabbitmq.partitions` each partition by itself. Default: none.
   */
  readonly killSwitch?: KillSwitchOptions;
  /** Milliseconds by which the first handling of every message is deferred. Default 0. */
  readonly delay?: number;
  /**
   * Recognise messages that come again and handle each once, as far as can be: `true`, or options. Default false: every
   * message is handled.
   */
  readonly idempotent?: boolean | IdempotentOptions;
  /**
   * Which messages of its queue this handler is for, where several share one: what `routeBy` says, or patterns of it.
   * Default: its routes.
   */
  readonly handles?: string | readonly string[];
  /**
   * What the handler of a message is chosen by, where several share a queue: a text or a number; undefined or null, and
   * none is. Anything else is `INVALID_RESULT`. Default: the message's route.
   */
  readonly routeBy?: (context: MessageContext) => string | number | null | undefined;
  /** Reads the bodies of its queue. Default: that of its contract, or the module's. */
  readonly serializer?: Serializer;
  /**
   * Answer a message that says where (its `replyTo`) with what the handler returns, if that is not undefined. `false`: one
   * line in the log instead, for its sender waits in vain. Options: see `@Respond`. Default true.
   */
  readonly answers?: boolean | AnswerOptions;
  /** Wrapped around the handler, inside the module's own; first listed is outermost. */
  readonly middleware?: readonly Middleware[];
  /** The connection it belongs to, where an application has several. */
  readonly connection?: string;
}

/** Subscription options together with what they subscribe to. */
export interface SubscribeRequest extends SubscriptionOptions {
  /** A route or pattern, or several of them (with a `name`). */
  readonly route: Route | readonly Route[];
}

/** A route, or an object that carries one. */
export type Route =
  string | { readonly route: string; readonly schema?: StandardSchema; readonly serializer?: Serializer };

/**
 * What a decorator takes as its only object: subscription options with a route, or a contract. It is one type, because a
 * compiler that has to choose between several says what is wrong with each of them.
 */
export interface DecoratedRequest<Payload> extends SubscribeRequest, Contracted<Payload> {}

/** The same of a batch subscription. */
export interface DecoratedBatchRequest<Payload> extends SubscribeBatchRequest, Contracted<Payload> {}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what is published does not matter to who receives
export type Contracted<Payload> = Omit<MessageContract<any, Payload>, 'route'>;

/** What `messaging.subscribe` takes: its `route` may be a contract, which says what the payload is. */
export interface SubscribeRequestOf<Payload> extends SubscriptionOptions {
  readonly route: RouteOf<Payload>;
}

/** A contract with this payload; or a route or pattern, or several of them (with a `name`), that say nothing of it. */
export type RouteOf<Payload> = MessageContract<unknown, Payload> | UntypedRoute | readonly UntypedRoute[];

/** How messages are gathered into batches. */
export interface BatchOptions {
  /** The most messages of a batch, 1…65,535. */
  readonly size: number;
  /**
   * Milliseconds after which a batch that is not full is handled, from when its first message came; later ones do not put
   * it off. While as many batches are handled as may be, it goes on to fill. Default 1,000.
   */
  readonly maxWait?: number;
}

/**
 * The options of one batch subscription. As elsewhere, except that `concurrency` counts batches (`bounded(n)`; by default as
 * many as fit into the prefetch), `timeout` is for the call with a batch, and `prefetch` is by default room for the batches
 * that may be handled at a time and one more: twice the `size` where there is no bound.
 */
export interface BatchSubscriptionOptions
  extends BatchOptions, Omit<SubscriptionOptions, 'handles' | 'routeBy' | 'answers' | 'limit'> {}

/** Batch subscription options together with what they subscribe to. */
export interface SubscribeBatchRequest extends BatchSubscriptionOptions {
  /** A route or pattern, or several of them (with a `name`). */
  readonly route: Route | readonly Route[];
}

/** What `messaging.subscribeBatch` takes: its `route` may be a contract, which says what the payloads are. */
export interface SubscribeBatchRequestOf<Payload> extends BatchSubscriptionOptions {
  readonly route: RouteOf<Payload>;
}

/**
 * What may be overridden per subscription from the module's options (`size` and `maxWait` of batches only); `false`
 * switches the subscription off.
 */
export type SubscriptionOverride =
  | (Omit<SubscriptionOptions, 'connection' | 'name' | 'handles' | 'routeBy' | keyof Described> & Partial<BatchOptions>)
  | false;

/** Whether this is a route, a contract with a schema or a list, and not options. `{ route }` alone means the same as both. */
export function isRoute(given: object | Route | readonly Route[]): given is Route | readonly Route[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return true;
  return 'schema' in given && Object.keys(given).every((key) => ['route', 'schema', 'serializer'].includes(key));
}

/** `{ ...contract, prefetch: 20 }`: its schema belongs to its route. */
export function contractOf<R extends object>(request: R): R {
  const { schema, route, ...options } = request as { readonly schema?: unknown; readonly route?: unknown };
  return schema === undefined || typeof route !== 'string'
    ? request
    : ({ ...options, route: { route, schema } } as unknown as R);
}
