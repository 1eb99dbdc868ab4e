import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import { brand } from '../errors/brand.js';
import { InvalidOptionError, UnsupportedError } from '../errors/configuration-errors.js';
import type { MessagingError } from '../errors/messaging-error.js';
import { checkBoolean, integerBetween, knownKeys, numberBetween } from '../errors/option-checks.js';
import { NotConnectedError, PublisherClosedError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import { ReplyLostError, RequestTimeoutError, TooManyRequestsError } from '../errors/request-errors.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { BodyOf } from '../message/message-contract.js';
import type { WireMessage } from '../message/message.js';
import type { AnswerOf, RequestContract } from '../message/request-contract.js';
import type { Serializer } from '../message/serializer.js';
import type { Telemetry } from '../pipeline/telemetry.js';
import type { PublishOptions, RouteLike } from '../publisher/publish-options.js';
import type { Receipt } from '../publisher/receipt.js';
import type { ReplyPath } from '../transport/reply-path.js';
import { Deadlines } from './deadlines.js';
import { Gathering } from './gathering.js';
import { type Conversation, type Pending, reject, succeed } from './pending.js';
import { answerIn } from './reply-body.js';
import { checkedReply } from './reply-schema.js';
import {
  DEFAULT_REPLIES,
  DEFAULT_TIMEOUT_MS,
  MAX_REPLIES,
  MAX_TIMEOUT_MS,
  type RepliesOptions,
  REQUEST_OPTION_NAMES,
  type RequestOptions,
} from './request-options.js';
import { UnexpectedReplies, type UnexpectedReply } from './unexpected-replies.js';

/** Requests of one process that wait for their reply. */
export const MAX_PENDING = 10_000;

/** @internal */
export interface RequesterEnvironment {
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly serializer: Serializer;
  readonly system: string;
  readonly telemetry?: Telemetry;
  /** Undefined: the transport has none. */
  readonly replies: ReplyPath | undefined;
  /** Why nothing can be sent now; undefined: it can. */
  obstacle(): string | undefined;
  /** Sends at once, and keeps nothing for later. */
  send(
    route: RouteLike,
    body: unknown,
    options: PublishOptions,
    conversation?: Pick<Conversation, 'queue' | 'gathers'>,
  ): Promise<Receipt>;
}

/**
 * Asks, and waits for the answer. Injectable; one per connection.
 *
 * A request is worth nothing later, so that it is never queued: it is sent at once, or rejects. It can be handled without
 * its reply coming back (a timeout, a lost connection), and twice, when the responder dies.
 */
export class Requester {
  private readonly requests = new Map<string, Pending>();
  /** Requests that wait for a connection. */
  private readonly waiting = new Set<Pending>();
  private readonly deadlines: Deadlines<Pending>;
  private readonly strays = new UnexpectedReplies();
  private state: 'closed' | 'opening' | 'open' = 'closed';
  private address: string | undefined;
  private lostBecause = 'Replies cannot be received yet';
  private ended = false;

  /** @internal */
  constructor(private readonly environment: RequesterEnvironment) {
    this.deadlines = new Deadlines(environment.clock, (pending) => this.expired(pending));
  }

  /** Requests that wait for their reply; 10,000 at most. */
  get pending(): number {
    return this.requests.size;
  }

  /** Replies since the start that no request waited for: `late`, a `second` one, or of no request that is `unknown`. */
  get unexpected(): Readonly<Record<UnexpectedReply, number>> {
    return this.strays.counts;
  }

  /**
   * Sends `body` on `route` and resolves with the answer of whoever handles it with `@Respond`, or of a foreign responder.
   * @throws RemoteError, UnroutableError (nobody handles the route), RequestTimeoutError, ReplyLostError, NotConnectedError,
   * InvalidPayloadError (of the body, or of the reply), TooManyRequestsError, UnsupportedError, PublisherClosedError, the
   * `signal`'s reason, and what else `publish` throws (as rejections)
   */
  async request<R extends RouteLike>(
    route: R,
    body: BodyOf<R>,
    options: RequestOptions = NO_OPTIONS,
  ): Promise<AnswerOf<R>> {
    const timeoutMs = this.check(options);
    this.open();
    this.checkState(options);
    return new Promise<unknown>((resolve, reject) =>
      this.begin(route, body, options, timeoutMs, resolve, reject),
    ) as Promise<AnswerOf<R>>;
  }

  /**
   * Sends `body` on `route`, and gives the answer or the error of each responder as it comes: of each service that handles
   * the route with `@Respond`, one. It ends after `max` of them, or when the `timeout` is over, with what came by then; a
   * responder that is dead by then has none. It is sent when the iteration begins, and given up when that is broken off.
   * @throws UnroutableError (nobody handles the route), and what else `request` throws but RemoteError,
   * RequestTimeoutError and InvalidPayloadError of a reply
   */
  async *replies<R extends RouteLike>(
    route: R,
    body: BodyOf<R>,
    options: RepliesOptions = NO_OPTIONS,
  ): AsyncGenerator<PromiseSettledResult<AnswerOf<R>>, void, undefined> {
    knownKeys('options', options, [...REQUEST_OPTION_NAMES, 'max']);
    const { max = DEFAULT_REPLIES, ...asked } = options;
    const gathering = new Gathering(integerBetween('max', max, 1, MAX_REPLIES));
    const id = randomUUID();
    const take = (reply: WireMessage, end: () => void): void => {
      if (!gathering.take(reply, end)) this.stray(id, 'second');
    };
    this.converse(route, body, asked, { id, gathers: true, take }).then(
      () => gathering.end(),
      (error: unknown) => gathering.end({ error }),
    );
    try {
      for (let reply = await gathering.next(); reply; reply = await gathering.next()) {
        const answer = async (): Promise<unknown> => this.answerOf(route, reply);
        const [result] = await Promise.allSettled([answer()]);
        yield result as PromiseSettledResult<AnswerOf<R>>;
      }
    } finally {
      this.finish(id, 'late');
    }
  }

  /** Sends a request that may get several replies. Resolves when it has ended, and rejects as `request` does. @internal */
  async converse(route: RouteLike, body: unknown, options: RequestOptions, conversation: Conversation): Promise<void> {
    const timeoutMs = this.check(options);
    this.open();
    this.checkState(options);
    await new Promise<unknown>((resolve, reject) =>
      this.begin(route, body, options, timeoutMs, resolve, reject, conversation),
    );
  }

  /** Something that requests waited for is there again. @internal */
  resume(): void {
    for (const pending of this.waiting) {
      if (this.obstacle !== undefined) return;
      this.waiting.delete(pending);
      pending.within!(() => this.send(pending));
    }
  }

  /** Ends all that wait: the application stops. @internal */
  close(): void {
    this.ended = true;
    this.failAll('The application stops');
  }

  private check(options: RequestOptions): number {
    if (options === NO_OPTIONS) return DEFAULT_TIMEOUT_MS;
    knownKeys('options', options, REQUEST_OPTION_NAMES);
    const { queue, signal, timeout = DEFAULT_TIMEOUT_MS } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw new InvalidOptionError('signal', signal, 'an AbortSignal');
    if (queue !== undefined) checkBoolean('queue', queue);
    return numberBetween('timeout', timeout, 1, MAX_TIMEOUT_MS);
  }

  /** At the first request, and once for all. */
  private open(): void {
    const { replies, system } = this.environment;
    if (!replies)
      throw new UnsupportedError(
        `Requests are not supported on ${system}: there is no way back for replies. Ask by a connection to a broker that has them (docs/request-reply.md), or publish the answer as a message of its own`,
      );
    if (this.state !== 'closed') return;
    this.state = 'opening';
    const done = (): void => this.openedOrNot();
    replies
      .open({
        opened: (address) => {
          this.address = address;
          this.resume();
        },
        lost: (reason) => {
          this.address = undefined;
          this.lostBecause = reason;
          this.failAll(`The connection that replies come by is gone: ${reason}`);
        },
        reply: (message) => this.replied(message),
      })
      .then(done, (error: unknown) => {
        this.lostBecause = errorMessage(error);
        done();
      });
  }

  private openedOrNot(): void {
    this.state = 'open';
    if (this.address !== undefined) return;
    for (const { id, options } of this.waiting)
      if (options.queue !== true) this.fail(id, new NotConnectedError(this.lostBecause));
  }

  private checkState({ signal, queue }: RequestOptions): void {
    if (this.ended) throw new PublisherClosedError('The requester is closed: the application is shutting down');
    signal?.throwIfAborted();
    if (this.requests.size >= MAX_PENDING)
      throw new TooManyRequestsError(`${MAX_PENDING} requests wait for their reply; this one was not sent`);
    if (queue === true) return;
    const obstacle = this.state === 'opening' ? this.environment.obstacle() : this.obstacle;
    if (obstacle !== undefined) throw new NotConnectedError(obstacle);
  }

  private get obstacle(): string | undefined {
    return this.environment.obstacle() ?? (this.address === undefined ? this.lostBecause : undefined);
  }

  private begin(
    route: RouteLike,
    body: unknown,
    options: RequestOptions,
    timeoutMs: number,
    resolve: Pending['resolve'],
    reject: Pending['reject'],
    conversation?: Conversation,
  ): void {
    const { clock, telemetry } = this.environment;
    const id = conversation?.id ?? randomUUID();
    const { signal } = options;
    const aborted = signal && ((): void => this.fail(id, signal.reason));
    const trace = telemetry?.request?.(nameOf(route));
    const at = clock.monotonic() + timeoutMs;
    const pending: Pending = { id, route, body, options, timeoutMs, at, trace, aborted, conversation, resolve, reject };
    this.requests.set(id, pending);
    this.deadlines.add(pending, timeoutMs);
    signal?.addEventListener('abort', aborted!, { once: true });
    if (this.obstacle === undefined) this.send(pending);
    else {
      pending.within = AsyncLocalStorage.snapshot();
      this.waiting.add(pending);
    }
  }

  private send(pending: Pending): void {
    const { id, route, body, options, at, trace, conversation } = pending;
    const { headers, key, priority, topic } = options;
    const written: PublishOptions = {
      ...conversation?.publish,
      ...(headers !== undefined && { headers }),
      ...(key !== undefined && { key }),
      ...(priority !== undefined && { priority }),
      ...(topic !== undefined && { topic }),
      ttl: Math.max(1, at - this.environment.clock.monotonic()),
      unroutable: 'reject',
      correlationId: id,
      replyTo: this.address,
    };
    const publish = (): Promise<Receipt> => this.environment.send(route, body, written, conversation);
    (trace ? trace.run(publish) : publish()).catch((error: unknown) =>
      this.fail(id, error instanceof NotConnectedError ? lost(error.message, error) : error),
    );
  }

  private replied(message: WireMessage): void {
    const { correlationId } = message.properties;
    const pending = correlationId === undefined ? undefined : this.requests.get(correlationId);
    if (pending?.conversation) return this.goOn(pending, pending.conversation, message);
    if (pending) return this.answered(this.end(pending, 'second'), message);
    this.stray(correlationId, this.strays.kindOf(correlationId));
  }

  private stray(correlationId: string | undefined, reason: UnexpectedReply): void {
    this.strays.counts[reason]++;
    const { events } = this.environment;
    if (events.has('reply-unexpected')) events.emit('reply-unexpected', { correlationId, reason });
  }

  private goOn(pending: Pending, { take, gathers }: Conversation, message: WireMessage): void {
    const { id, timeoutMs } = pending;
    if (!gathers) {
      this.deadlines.delete(pending, timeoutMs);
      pending.at = this.environment.clock.monotonic() + timeoutMs;
      this.deadlines.add(pending, timeoutMs);
    }
    take(message, () => this.finish(id, 'second'));
  }

  private answered(pending: Pending, message: WireMessage): void {
    try {
      const answer = this.answerOf(pending.route, message);
      if (!(answer instanceof Promise)) return succeed(pending, answer);
      answer.then(
        (checked) => succeed(pending, checked),
        (error: unknown) => reject(pending, error),
      );
    } catch (error) {
      reject(pending, error);
    }
  }

  /** A promise where a schema checks it. @throws as `answerIn` does */
  private answerOf(route: RouteLike, message: WireMessage): unknown {
    const { reply: schema, serializer } = route as Partial<RequestContract>;
    const answer = answerIn(message, serializer ?? this.environment.serializer);
    return schema === undefined ? answer : checkedReply(nameOf(route), schema, answer);
  }

  private expired(pending: Pending): void {
    const { id, route, timeoutMs, conversation } = pending;
    if (conversation?.gathers && !this.waiting.has(pending)) return this.finish(id, 'late');
    this.fail(id, new RequestTimeoutError(`No reply to «${nameOf(route)}» within ${timeoutMs} ms`));
  }

  private failAll(reason: string): void {
    for (const [id, pending] of this.requests) {
      // What was not sent yet loses nothing.
      if (this.ended || !this.waiting.has(pending)) this.fail(id, lost(reason));
    }
  }

  private fail(id: string, error: unknown): void {
    const pending = this.requests.get(id);
    if (pending) reject(this.end(pending, 'late'), error);
  }

  private finish(id: string, next: 'late' | 'second'): void {
    const pending = this.requests.get(id);
    if (pending) succeed(this.end(pending, next), undefined);
  }

  private end(pending: Pending, next: 'late' | 'second'): Pending {
    const { id, timeoutMs, aborted, options } = pending;
    this.requests.delete(id);
    this.waiting.delete(pending);
    this.deadlines.delete(pending, timeoutMs);
    if (aborted) options.signal?.removeEventListener('abort', aborted);
    this.strays.remember(id, next);
    return pending;
  }
}

const NO_OPTIONS: RequestOptions = Object.freeze({});

function lost(reason: string, cause?: MessagingError): ReplyLostError {
  return new ReplyLostError(`${reason}. Whether the request was handled is not known`, cause && { cause });
}

function nameOf(route: RouteLike): string {
  return typeof route === 'object' && route !== null ? route.route : route;
}

brand({ Requester });
