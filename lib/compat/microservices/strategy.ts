import {
  type CustomTransportStrategy,
  type MessageHandler,
  Server,
  type ConsumerDeserializer,
  type ConsumerSerializer,
} from '@nestjs/microservices';
import type { RuntimeSubscription } from '../../consumer/runtime-subscription.js';
import { handledBy } from '../../consumer/subscription/subscription-line.js';
import type { SubscribeRequest, SubscriptionOptions } from '../../consumer/subscription/subscription-options.js';
import { InvalidOptionError, UnsupportedError } from '../../errors/configuration-errors.js';
import { NackError, NoHandlerError } from '../../errors/handling-errors.js';
import { nameOf } from '../../message/message-name.js';
import type { MessagingEventMap, MessagingEventName } from '../../events/messaging-events.js';
import type { Messaging } from '../../messaging.js';
import { switchedOff } from '../../messaging.subscriptions.js';
import { Outcome } from '../../pipeline/outcome.js';
import { wholeResultOf } from '../../pipeline/result.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import { compilePattern, hasWildcard, type PatternMatcher, wordsOf } from '../../transport/topic-pattern.js';
import { watchFailures } from './failures.js';
import { packetSerializer, PendingPacket, type Reply } from './packets.js';
import { Replies } from './replies.js';
import { MessagingRpcContext } from './rpc-context.js';

/** Options of `MessagingStrategy`: those of a subscription, which all handlers share. */
export interface MessagingStrategyOptions extends Omit<
  SubscriptionOptions,
  'handles' | 'routeBy' | 'serializer' | 'answers' | 'connection'
> {
  /** What the queue is bound by, or a function of the patterns of the handlers. Default: these patterns. */
  readonly routes?: readonly string[] | ((patterns: readonly string[]) => readonly string[]);
  /** Nest's own, for replies. Default: their JSON. */
  readonly serializer?: ConsumerSerializer;
  /** Nest's own, for what comes. Default: Nest's envelope, and any other body as an event of its route. */
  readonly deserializer?: ConsumerDeserializer;
}

type Status = 'connected' | 'disconnected' | 'blocked' | 'unblocked';
type Events = { [Name in MessagingEventName]: (payload: MessagingEventMap[Name]) => void };

const STATUS = ['connected', 'disconnected', 'blocked', 'unblocked'] as const;
const NO_MESSAGE_HANDLER = 'There is no matching message handler defined in the remote service.';

/**
 * Runs `@EventPattern` and `@MessagePattern` handlers on this package:
 * `app.connectMicroservice({ strategy: new MessagingStrategy(app.get(Messaging)) })`. All of them share one queue, as
 * with Nest's RabbitMQ transport. An event whose handler fails is retried and becomes a dead letter; a request is answered.
 */
export class MessagingStrategy extends Server<Events, Status> implements CustomTransportStrategy {
  override readonly transportId: symbol = Symbol('nestjs-messaging');
  private readonly wildcardHandlers: { readonly meant: PatternMatcher; readonly handler: MessageHandler }[] = [];
  private readonly offs: (() => void)[] = [];
  private subscription: RuntimeSubscription | undefined;
  private toldTooLate = false;

  /** @throws InvalidOptionError */
  constructor(
    /** @internal */
    protected readonly messaging: Messaging,
    private readonly options: MessagingStrategyOptions = {},
  ) {
    super();
    if (typeof messaging?.subscribe !== 'function')
      throw new InvalidOptionError('messaging', messaging, 'the Messaging of a connection: app.get(Messaging)');
    if (typeof options !== 'object' || options === null)
      throw new InvalidOptionError('options', options, 'an object of subscription options');
    watchFailures();
    for (const status of STATUS) this.offs.push(messaging.events.on(status, () => this._status$.next(status)));
  }

  /** Subscribes; before the application is initialised, together with what is decorated with `@Subscribe`. */
  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      return callback(error);
    }
    callback();
  }

  /** Takes no more messages, and resolves when running handlers have finished. */
  async close(): Promise<void> {
    await this.subscription?.stop();
    for (const off of this.offs.splice(0)) off();
  }

  /** Events of `messaging.events`, by name. */
  on<Name extends MessagingEventName>(event: Name, callback: Events[Name]): void {
    this.offs.push(this.messaging.events.on(event, callback));
  }

  /** The `Messaging` that it works on. */
  unwrap<T = Messaging>(): T {
    return this.messaging as T;
  }

  override getHandlerByPattern(pattern: string): MessageHandler | null {
    const exact = super.getHandlerByPattern(pattern);
    if (exact || this.wildcardHandlers.length === 0) return exact;
    const words = wordsOf(pattern);
    return this.wildcardHandlers.find(({ meant }) => meant(words))?.handler ?? null;
  }

  private async start(): Promise<void> {
    const { messaging, messageHandlers } = this;
    const { log } = messaging.environment;
    if (!messaging.consumes) return log.log("«consume» is false: the handlers of Nest's microservices are not started");
    if (messageHandlers.size === 0)
      return log.warn(
        'No @EventPattern or @MessagePattern handler was found for MessagingStrategy: it subscribes to nothing',
      );
    for (const [pattern, handler] of messageHandlers)
      if (hasWildcard(pattern)) this.wildcardHandlers.push({ meant: compilePattern(pattern), handler });
    const { transport } = messaging.described;
    const request = this.request(transport.replies !== undefined);
    const serializer = packetSerializer(this.options);
    const replies = new Replies(serializer, transport, messaging.environment.clock, log);
    const definition = messaging.definitions.define({ ...request, serializer }) ?? switchedOff(request);
    this.subscription = await messaging.start({
      definition: handledBy('MessagingStrategy', definition),
      handler: (context) => this.handle(context, replies),
    });
  }

  private request(canReply: boolean): SubscribeRequest {
    const patterns = [...this.messageHandlers.keys()];
    const { routes, serializer: _s, deserializer: _d, ...options } = this.options;
    const { name = options.queue?.replaceAll(':', '.') ?? 'microservice', bind = true } = options;
    const asked = [...this.messageHandlers].filter(([, { isEventHandler }]) => !isEventHandler).map(([one]) => one);
    if (!canReply && asked.length > 0)
      throw new UnsupportedError(
        `Replies are not supported on ${this.messaging.described.transport.system}: the requests of @MessagePattern (${asked.join(', ')}) could not be answered. Use @EventPattern, or a broker that has replies (docs/request-reply.md)`,
      );
    return {
      ...options,
      name,
      // Without bindings a route is a name only.
      route: (typeof routes === 'function' ? routes(patterns) : routes) ?? (bind ? patterns : [name]),
      answers: canReply ? { always: true } : false,
    };
  }

  private async handle(context: MessageContext, replies: Replies): Promise<unknown> {
    if (context.payload instanceof PendingPacket) context.take(await context.payload.decoded);
    const own = new MessagingRpcContext(context, (operation) => this.tellTooLate(operation, context));
    const handler = this.getHandlerByPattern(context.route);
    try {
      // An event that somebody wants an answer to is still an event: what fails is retried.
      if (context.replyTo !== undefined && !handler?.isEventHandler) return await this.answer(own, handler, replies);
      if (!handler) return noHandler(context);
      return await this.handleOne(own, handler);
    } finally {
      own.ended = true;
    }
  }

  /** What an event comes to: its Observable is taken to the end. */
  private async handleOne(own: MessagingRpcContext, handler: MessageHandler): Promise<unknown> {
    own.isShared = handler.next !== undefined;
    let response: unknown;
    try {
      response = await this.within(own, async () => wholeResultOf(await handler(own.messaging.payload, own)));
    } catch (error) {
      own.failure ??= error;
      return outcomeOf(own);
    }
    // A filter may have made a result of a failure.
    own.failure = undefined;
    const outcome = outcomeOf(own);
    const isAsked = outcome.type === 'ack' && own.messaging.replyTo !== undefined;
    return isAsked ? ({ response, isDisposed: true } satisfies Reply) : outcome;
  }

  /** The last packet, which the engine answers with; those before are sent as they come. */
  private async answer(own: MessagingRpcContext, handler: MessageHandler | null, replies: Replies): Promise<unknown> {
    const { messaging: context } = own;
    if (!handler) {
      this.messaging.environment.log.warn(
        `«${context.queue}»: a request for «${context.route}» has no handler; its sender is told`,
      );
      return { err: NO_MESSAGE_HANDLER, status: 'error', isDisposed: true } satisfies Reply;
    }
    const last = await this.within(own, () => this.replied(own, handler, replies));
    if (own.decision === undefined || own.decision === 'ack') return last;
    return outcomeOf(own);
  }

  private async replied(own: MessagingRpcContext, handler: MessageHandler, replies: Replies): Promise<Reply> {
    const { messaging: context } = own;
    let result: unknown;
    try {
      result = await handler(context.payload, own);
    } catch (error) {
      this.logger.error(error);
      return { err: { status: 'error', message: 'Internal server error' }, isDisposed: true };
    }
    return new Promise((resolve, reject) => {
      let isWatched = false;
      // Before its first value it may be a handler that works: that is not left alone, whoever is gone.
      const watch = (): void => {
        if (isWatched || subscription.closed) return;
        isWatched = true;
        subscription.add(replies.watchSender(context, () => subscription.unsubscribe()));
      };
      const subscription = this.send(this.transformToObservable(result), async (packet) => {
        if (packet.isDisposed) return resolve(packet);
        watch();
        if (!(await replies.send(context, packet))) subscription.unsubscribe();
      });
      if (subscription.closed) return;
      const { signal } = context;
      const end = (): void => {
        // First: the end of the subscription looks as if all values had come.
        reject(signal.reason as Error);
        subscription.unsubscribe();
      };
      if (signal.aborted) return end();
      signal.addEventListener('abort', end, { once: true });
      subscription.add(() => signal.removeEventListener('abort', end));
    });
  }

  /** What instruments put around a handler. */
  private within<T>(own: MessagingRpcContext, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.onProcessingStartHook(this.transportId, own, async () => {
        await work().then(resolve, reject);
        this.onProcessingEndHook?.(this.transportId, own);
      });
    });
  }

  private tellTooLate(operation: string, { route }: MessageContext): void {
    if (this.toldTooLate) return;
    this.toldTooLate = true;
    this.messaging.environment.log.warn(
      `channel.${operation} came after the handler of «${route}» had returned, when its message was settled already: return (or await) what is to be done first. This is told once`,
    );
  }
}

function noHandler({ delivery, queue, route }: MessageContext): Outcome {
  return Outcome.deadLetter(
    'no-handler',
    new NoHandlerError(`«${queue}» has no handler for ${nameOf(delivery.message)}, whose pattern is «${route}»`),
  );
}

/** @throws what is to be retried */
function outcomeOf({ decision, failure, isShared }: MessagingRpcContext): Outcome {
  if (decision === 'dead-letter')
    return Outcome.deadLetter(
      'unrecoverable',
      failure ?? new NackError('The handler has nacked the message, not to be requeued'),
    );
  // The ack of one of several handlers says nothing of the others.
  if (failure === undefined ? decision !== 'requeue' : decision === 'ack' && !isShared) return Outcome.ack;
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- what the handler threw, whatever it is
  throw failure ?? new NackError('The handler has nacked the message');
}
