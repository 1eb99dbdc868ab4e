import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { MessagingError } from '../errors/messaging-error.js';
import { UnsupportedError } from '../errors/configuration-errors.js';
import { type ErrorReply, NoAnswerError, ReplyError, UnavailableError } from '../errors/request-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import { type Headers, header, requestHeader, WIRE_VERSION } from '../message/headers.js';
import { newMessageId } from '../message/message-id.js';
import { nameOf } from '../message/message-name.js';
import type { Reply, Serializer } from '../message/serializer.js';
import { MessageContext } from '../pipeline/message-context.js';
import { Outcome } from '../pipeline/outcome.js';
import type { Delivery } from '../transport/delivery.js';
import { deliveryView } from '../transport/delivery-view.js';
import type { PublishResult } from '../transport/outgoing.js';
import type { Transport } from '../transport/transport.js';

import type { AnswerDefinition } from './answer-options.js';
import { replyBody } from './reply-body.js';

export interface AnsweringEnvironment {
  readonly transport: Transport;
  readonly serializer: Serializer;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: MessagingEvents;
}

/** Before a reply that failed for a passing reason is sent again. */
const AGAIN_MS = 250;
/** How long a reply is tried where the request does not say when its sender gives up. */
const LONGEST_MS = 10_000;
/** The acks of requests wait so long for each other: on a quorum queue each is a write that the next requests wait for. */
const ACK_DELAY_MS = 10;

/** Answers messages that say where, before they are settled: a reply that is lost with this process is given again by another. */
export class Answering {
  private warned = false;

  private constructor(
    private readonly queue: string,
    private readonly definition: AnswerDefinition,
    private readonly environment: AnsweringEnvironment,
  ) {}

  /** Undefined: the subscription has nothing to do with replies. */
  static of(
    { topology, answers }: { readonly topology: { readonly queue: string }; readonly answers?: AnswerDefinition },
    environment: AnsweringEnvironment,
  ): Answering | undefined {
    return answers && new Answering(topology.queue, answers, environment);
  }

  /** What is handled twice because its ack was not written yet is a request whose responder died: it may be. */
  get ackDelayMs(): number {
    return this.definition.when === 'always' ? ACK_DELAY_MS : 0;
  }

  /** Answers with what a handler call came to. The outcome then; undefined: there is nothing to answer, and it stays as it is. */
  answer(context: MessageContext, outcome: Outcome, result: unknown): Promise<Outcome> | undefined {
    const { replyTo } = context;
    if (replyTo === undefined || outcome.type === 'retry' || outcome.type === 'defer') return undefined;
    const { when } = this.definition;
    const { error } = outcome;
    if (error instanceof ReplyError && when !== 'never') return this.send(context, replyTo, error, Outcome.ack);
    if (
      outcome.type === 'ack' &&
      !Outcome.is(result) &&
      when !== 'never' &&
      (result !== undefined || when === 'always')
    )
      return this.sendValue(context, replyTo, result);
    if (when === 'always')
      return this.send(context, replyTo, outcome.type === 'ack' ? noAnswer(context.delivery) : error, outcome);
    if (outcome.type === 'ack') this.warnOnce(context.delivery, when === 'value');
    return undefined;
  }

  /** The process stops before the request was handled to its end. True: its sender knows, and it is done. */
  async unavailable(delivery: Delivery): Promise<boolean> {
    const context = new MessageContext(delivery, 0);
    const { replyTo } = context;
    if (replyTo === undefined || this.definition.onShutdown !== 'unavailable') return false;
    const error = new UnavailableError('The responder stops; ask again');
    const result = await this.reply(context, replyTo, error);
    return result.status === 'confirmed';
  }

  private async sendValue(context: MessageContext, replyTo: string, value: unknown): Promise<Outcome> {
    const { delivery } = context;
    let result: PublishResult;
    try {
      result = await this.insist(context, () => this.path.reply(replyTo, this.messageOf(context, { value })));
    } catch (error) {
      // It cannot be written.
      return this.send(context, replyTo, error, Outcome.deadLetter('unrecoverable', error));
    }
    if (result.status === 'refused') {
      await this.reply(context, replyTo, result.error);
      this.undeliverable(delivery, result.error);
    } else if (result.status !== 'confirmed') this.undeliverable(delivery, result.error);
    return Outcome.ack;
  }

  private async send(context: MessageContext, replyTo: string, error: unknown, outcome: Outcome): Promise<Outcome> {
    const { delivery } = context;
    const result = await this.insist(context, () => this.reply(context, replyTo, error));
    if (result.status !== 'confirmed') this.undeliverable(delivery, result.error);
    return outcome;
  }

  /** As long as whoever asked waits, and the request is ours. */
  private async insist(context: MessageContext, send: () => Promise<PublishResult>): Promise<PublishResult> {
    const { clock } = this.environment;
    const now = clock.now();
    const until = Math.min(context.deadline ?? Infinity, now + LONGEST_MS);
    for (;;) {
      const result = await send();
      if (result.status !== 'failed' || context.aborted !== undefined || clock.now() + AGAIN_MS >= until) return result;
      await sleep(clock, AGAIN_MS);
    }
  }

  private reply(context: MessageContext, replyTo: string, error: unknown): Promise<PublishResult> {
    const told = errorReply(error);
    const headers = { [requestHeader.error]: 1 };
    try {
      return this.path.reply(replyTo, this.messageOf(context, { error: told }, headers));
    } catch {
      // Its details cannot be written.
      return this.path.reply(replyTo, this.messageOf(context, { error: { ...told, details: undefined } }, headers));
    }
  }

  private messageOf(
    { route, correlationId, delivery }: MessageContext,
    reply: Reply,
    error: Headers = {},
  ): Parameters<NonNullable<Transport['replies']>['reply']>[1] {
    const { clock, serializer } = this.environment;
    const time = clock.now();
    const id = newMessageId(time);
    const gathered = requestHeader.gather in delivery.message.headers;
    const headers = gathered ? { ...error, [requestHeader.responder]: this.queue } : error;
    const said = { id, route, time, headers, ...(correlationId !== undefined && { correlationId }) };
    const { body, contentType, headers: own } = replyBody(reply, serializer, said);
    return {
      id,
      route,
      body,
      headers: { ...own, ...headers, [header.time]: time, [header.version]: WIRE_VERSION },
      properties: {
        ...(contentType !== undefined && { contentType }),
        ...(correlationId !== undefined && { correlationId }),
      },
    };
  }

  private get path(): NonNullable<Transport['replies']> {
    const { replies, system } = this.environment.transport;
    if (replies) return replies;
    const error = new UnsupportedError(`Replies are not supported on ${system}`);
    return { open: async () => {}, reply: async () => ({ status: 'refused', error }) };
  }

  private undeliverable(delivery: Delivery, error: MessagingError): void {
    const { log, events } = this.environment;
    log.warn(`«${this.queue}»: the reply to ${nameOf(delivery.message)} could not be sent: ${error.message}`);
    if (events.has('reply-undeliverable'))
      events.emit('reply-undeliverable', { delivery: deliveryView(delivery), error });
  }

  private warnOnce(delivery: Delivery, answers: boolean): void {
    if (this.warned) return;
    this.warned = true;
    const why = answers ? 'its handler returned nothing' : this.definition.because;
    this.environment.log.warn(
      `«${this.queue}»: ${nameOf(delivery.message)} asks for a reply (reply-to), and gets none: ${why}. Its sender waits in vain. Return a value, or handle the route with @Respond. This is told once`,
    );
  }
}

function noAnswer({ message }: Delivery): NoAnswerError {
  return new NoAnswerError(`${nameOf(message)} has no answer: it was handled before, or its handler decided so`);
}

/** What is told of an error: never a stack, never a cause. */
function errorReply(error: unknown): ErrorReply {
  const { code, retryable } = error instanceof MessagingError ? error : { code: 'HANDLER_FAILED', retryable: false };
  const details = error instanceof ReplyError ? error.details : undefined;
  return { code, message: errorMessage(error), retryable, ...(details !== undefined && { details }) };
}
