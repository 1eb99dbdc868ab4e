import type { ConsumeMessage } from 'amqplib';
import { NackError, NoHandlerError, UndecodableMessageError } from '../../errors/handling-errors.js';
import { errorMessage } from '../../errors/redact.js';
import type { Headers } from '../../message/headers.js';
import type { BatchContext } from '../../pipeline/batch-context.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import { Outcome } from '../../pipeline/outcome.js';
import { compilePattern, hasWildcard, wordsOf } from '../../transport/topic-pattern.js';
import { ChannelStandIn } from './channel-stand-in.js';
import type { CompatSettings } from './config.js';
import { isNack, MessageHandlerErrorBehavior } from './error-behaviors.js';
import type { CompatHandler } from './handlers.js';
import type { BatchMessageErrorHandler, MessageErrorHandler, MessageHandlerOptions } from './interfaces.js';
import { type CompatPublishing, RpcAnswer } from './publishing.js';

/** Calls handlers of theirs, and makes what they come to an outcome of ours. */
export class CompatHandling {
  constructor(
    private readonly settings: CompatSettings,
    private readonly publishing: CompatPublishing,
  ) {}

  /** The handler of a queue: of several, that for the routing key. */
  one(handlers: readonly CompatHandler[]): (context: MessageContext) => Promise<unknown> {
    const chosen = chooser(handlers);
    return async (context) => {
      const handler = chosen(context.route);
      if (handler) return this.handle(handler, context);
      const error = new NoHandlerError(`«${context.queue}» has no handler for «${context.route}»`);
      return Outcome.deadLetter('no-handler', error);
    };
  }

  batch(handler: CompatHandler): (context: BatchContext) => Promise<(Outcome | Error)[]> {
    return async ({ entries }) => {
      const outcomes = new Map<MessageContext, Outcome | Error>();
      const read: { readonly context: MessageContext; readonly message: ConsumeMessage; readonly payload: unknown }[] =
        [];
      for (const context of entries) {
        const message = messageOf(context, handler.config);
        try {
          read.push({ context, message, payload: this.payload(handler.config, message) });
        } catch (error) {
          outcomes.set(context, Outcome.deadLetter('undecodable', error));
        }
      }
      const messages = read.map(({ message }) => message);
      const settle = (outcomeOf: (message: ConsumeMessage) => Outcome | Error): void =>
        read.forEach(({ context, message }) => outcomes.set(context, outcomeOf(message)));
      if (read.length > 0)
        try {
          const headers = messages.map(({ properties }) => properties.headers);
          const result = await handler.call(read.map(({ payload }) => payload), messages, headers); // prettier-ignore
          settle(() => (isNack(result) ? nacked(result.requeue) : Outcome.ack));
        } catch (error) {
          settle(await this.failed(handler, messages, error));
        }
      return entries.map((context) => outcomes.get(context)!);
    };
  }

  private async handle(handler: CompatHandler, context: MessageContext): Promise<unknown> {
    const { place, config, call } = handler;
    const message = messageOf(context, config);
    const { headers } = message.properties;
    let result: unknown;
    try {
      result = await call(this.payload(config, message), message, headers);
    } catch (error) {
      return thrownOrGiven((await this.failed(handler, [message], error))(message));
    }
    // Outside of what `failed` is asked about: the handler decided already.
    if (isNack(result)) return thrownOrGiven(nacked(result.requeue));
    if (config.type === 'rpc') return context.replyTo === undefined ? undefined : new RpcAnswer(result, answerHeaders(headers)); // prettier-ignore
    if (result)
      this.settings.log.warn(`${place} returned a value, which nobody gets: a subscriber returns nothing, or a Nack`);
    return undefined;
  }

  /** @throws UndecodableMessageError */
  private payload({ deserializer, allowNonJsonMessages }: MessageHandlerOptions, message: ConsumeMessage): unknown {
    const { content } = message;
    const read = deserializer ?? this.settings.config.deserializer;
    try {
      if (read) return read(content, message);
      return content.length === 0 ? undefined : (JSON.parse(content.toString()) as unknown);
    } catch (cause) {
      if (allowNonJsonMessages) return content.toString();
      throw new UndecodableMessageError(`The body cannot be read: ${errorMessage(cause)}`, { cause });
    }
  }

  /** What becomes of each message of a call that failed. */
  private async failed(
    { place, config }: CompatHandler,
    messages: readonly ConsumeMessage[],
    error: unknown,
  ): Promise<(message: ConsumeMessage) => Outcome | Error> {
    const { config: module, errorBehavior, log } = this.settings;
    log.error(`${place} failed: ${errorMessage(error)}`, error instanceof Error ? error.stack : undefined);
    const ofBatch = config.batchOptions?.errorHandler;
    const handler = config.errorHandler ?? (config.type === 'rpc' ? module.defaultRpcErrorHandler : undefined);
    if (ofBatch ?? handler) return this.decided(place, messages, error, ofBatch, handler);
    const behavior = config.errorBehavior ?? errorBehavior;
    if (behavior === MessageHandlerErrorBehavior.ACK) return () => Outcome.ack;
    return () =>
      behavior === MessageHandlerErrorBehavior.NACK ? Outcome.deadLetter('unrecoverable', error) : asError(error);
  }

  private async decided(
    place: string,
    messages: readonly ConsumeMessage[],
    error: unknown,
    ofBatch: BatchMessageErrorHandler | undefined,
    handler: MessageErrorHandler | undefined,
  ): Promise<(message: ConsumeMessage) => Outcome | Error> {
    const channel = new ChannelStandIn(this.publishing, messages);
    try {
      if (ofBatch) await ofBatch(channel.asChannel(), [...messages], error);
      else for (const message of messages) await handler!(channel.asChannel(), message, error);
      await channel.published();
    } catch (thrown) {
      this.settings.log.error(`The error handler of ${place} failed: ${errorMessage(thrown)}`);
      return () => asError(thrown);
    }
    return (message) => {
      const decision = channel.decisionOf(message);
      if (decision === 'ack') return Outcome.ack;
      if (decision === 'nack') return Outcome.deadLetter('unrecoverable', error);
      if (decision === undefined)
        this.settings.log.warn(`The error handler of ${place} neither acked nor nacked: the message is retried`);
      return asError(error);
    };
  }
}

/** By the exact routing key first, then by pattern; a single subscriber gets whatever comes into its queue. */
function chooser(handlers: readonly CompatHandler[]): (route: string) => CompatHandler | undefined {
  const [only] = handlers;
  if (handlers.length === 1 && only.config.type === 'subscribe') return () => only;
  const keyed = handlers.flatMap((handler) => keysOf(handler.config).map((key) => ({ key, handler })));
  const patterns = keyed.filter(({ key }) => hasWildcard(key)).map(({ key, handler }) => ({ meant: compilePattern(key), handler })); // prettier-ignore
  return (route) =>
    keyed.find(({ key }) => key === route)?.handler ?? patterns.find(({ meant }) => meant(wordsOf(route)))?.handler;
}

/** Every key that leads to a handler. */
export function keysOf({ routingKey = [], bindings = [] }: MessageHandlerOptions): string[] {
  return [...[routingKey].flat(), ...bindings.map((binding) => binding.routingKey)];
}

/** A retry comes by the queue's name: it says where the message came from at first. */
function messageOf(context: MessageContext, { exchange, bindings = [] }: MessageHandlerOptions): ConsumeMessage {
  const message = context.raw as ConsumeMessage;
  const { fields } = message;
  if (fields.routingKey === context.route) return message;
  const from = exchange ?? bindings[0]?.exchange ?? fields.exchange;
  return { ...message, fields: { ...fields, routingKey: context.route, exchange: from } };
}

function nacked(requeue: boolean): Outcome | Error {
  const error = new NackError(`The handler gave it back (new Nack(${requeue}))`);
  return requeue ? error : Outcome.deadLetter('unrecoverable', error);
}

/** A failure goes to the retry policy as it is. */
function thrownOrGiven(result: Outcome | Error): Outcome {
  if (Outcome.is(result)) return result;
  throw result;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(errorMessage(error));
}

function answerHeaders(headers: object | undefined): Headers {
  return Object.fromEntries(
    Object.entries(headers ?? {}).filter(([name]) => !name.startsWith('messaging-') && name !== 'CC' && name !== 'BCC'),
  );
}
