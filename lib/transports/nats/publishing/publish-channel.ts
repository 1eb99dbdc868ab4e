import type { Msg, MsgHdrs, Subscription } from '@nats-io/transport-node';
import type { MessagingError } from '../../../errors/messaging-error.js';
import {
  MessageTooLargeError,
  NotConnectedError,
  PublishFailedError,
  PublishRefusedError,
} from '../../../errors/publish-errors.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../../transport/transport.js';
import { unroutable } from '../../kit/envelope.js';
import { apiCode, describe } from '../connection/broker-errors.js';
import { ConfirmWindow, type Sending, type Unconfirmed } from './confirm-window.js';
import { encodeHeaders } from '../wire/encode.js';
import { leaner } from '../wire/fitting.js';
import type { Link } from '../connection/link.js';
import type { Names } from '../names.js';
import { RoutingTable } from './routing-table.js';

/** How many messages that nobody took are remembered. */
const MOST_UNTAKEN = 10_000;

/** The answer to a publish. */
interface PubAck {
  readonly seq: number;
  /** The message was stored under this number before. */
  readonly duplicate?: boolean;
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

export interface ChannelListeners {
  /** Confirms do not come: the connection may be half-open. */
  silent(link: Link): void;
  /** There was no room for anything of ours in a dead letter. */
  bare(outgoing: Outgoing): void;
  /** No stream takes what is published. Resolves with what is missing, where this process may not make it. */
  streamMissing(outgoing: Outgoing, delayed: boolean): Promise<MessagingError | undefined>;
}

/** Publishing on one connection: many under way, each with its own result. */
export class PublishChannel {
  private readonly inbox: string;
  private readonly window: ConfirmWindow;
  private readonly routes: RoutingTable;
  private readonly answers: Subscription;
  private ended?: NotConnectedError;
  /** Messages that nobody took, with the number they were dropped under. */
  private readonly untaken = new Map<string, number>();

  constructor(
    readonly link: Link,
    private readonly names: Names,
    environment: TransportEnvironment,
    private readonly redact: (text: string) => string,
    private readonly on: ChannelListeners,
  ) {
    this.inbox = link.inbox();
    this.routes = new RoutingTable(link, names, environment.clock);
    this.window = new ConfirmWindow(environment.clock, environment.confirmTimeout, (late) => this.timedOut(late));
    this.answers = link.connection.subscribe(`${this.inbox}.*`, {
      callback: (error, message) => {
        if (!error) this.answered(message);
      },
    });
  }

  /** The result of what cannot be sent; undefined when it was sent, and its result comes to `done`. */
  send(sending: Sending): PublishResult | undefined {
    if (this.ended) return { status: 'failed', error: this.ended };
    const { outgoing, subject, delayed } = sending;
    const { body } = outgoing.message;
    let headers: Buffer;
    try {
      headers = this.encode(sending);
    } catch (error) {
      return { status: 'refused', error: error as MessagingError };
    }
    const number = this.window.add(sending);
    try {
      this.link.connection.publish(delayed ? this.names.delayedSubject : subject, body, {
        reply: `${this.inbox}.${number}`,
        // The client asks the headers for nothing but their bytes.
        ...(headers.length > 0 && { headers: { encode: () => headers } as unknown as MsgHdrs }),
      });
      return undefined;
    } catch (error) {
      this.window.take(number);
      return { status: 'failed', error: new NotConnectedError(`NATS: ${this.redact(describe(error))}`) };
    }
  }

  /** @throws SerializationError, MessageTooLargeError */
  private encode({ outgoing, subject, delayed, room }: Sending): Buffer {
    const { maxPayload } = this.link;
    const { body } = outgoing.message;
    const after = this.untaken.get(keyOf(outgoing, subject));
    const headers = encodeHeaders(outgoing, subject, delayed, after);
    if (headers.length + body.length + room <= maxPayload) return headers;
    for (const lean of room > 0 ? [] : leaner(outgoing)) {
      const less = encodeHeaders(outgoing, subject, delayed, after, lean);
      if (less.length + body.length > maxPayload) continue;
      if (outgoing.to.kind === 'dead-letter' && lean.bare) this.on.bare(outgoing);
      return less;
    }
    const kept = room > 0 ? `, less ${room} for what its retries and its dead letter say` : '';
    throw new MessageTooLargeError(
      `The message has ${headers.length + body.length} bytes with its headers; the server takes ${maxPayload} («max_payload»)${kept}`,
    );
  }

  /** What was under way has failed, though it may be stored; or `heir` sees to it. */
  end(reason: string, heir?: (unconfirmed: readonly Sending[]) => void): void {
    if (this.ended) return;
    const error = (this.ended = new NotConnectedError(`The connection to NATS is lost: ${reason}`));
    this.answers.unsubscribe();
    this.routes.close();
    const unconfirmed = this.window.takeAll();
    if (heir) heir(unconfirmed);
    else for (const { outgoing, done } of unconfirmed) done(outgoing, { status: 'failed', error });
  }

  /** Queues may have changed. */
  forgetRoutes(): void {
    this.routes.forget();
  }

  private answered(message: Msg): void {
    const unconfirmed = this.window.take(Number(message.subject.slice(this.inbox.length + 1)));
    if (!unconfirmed) return;
    const { outgoing, subject, delayed, done } = unconfirmed;
    if (message.headers?.code === 503) return void this.noStream(outgoing, delayed, done);
    const ack = this.read(message);
    if ('status' in ack) return done(outgoing, ack);
    // What is delayed is kept in any case, and looks for its queue when it is due.
    if (!outgoing.mandatory || delayed || this.routes.takes(subject, ack.seq)) return done(outgoing, CONFIRMED);
    this.routes.ask(subject, ack.seq, (routable, error) => {
      if (routable) return done(outgoing, CONFIRMED);
      if (error === undefined) return this.nobodyTook(unconfirmed, ack);
      const reason = this.redact(describe(error));
      const failed = new PublishFailedError(`NATS did not tell whether a queue takes the message: ${reason}`);
      done(outgoing, { status: 'failed', error: failed });
    });
  }

  /**
   * The server has dropped a message, would take a resend for the same one for two minutes, and drop that as well: from
   * now on it is sent under another id. If this was a resend already, at once.
   */
  private nobodyTook(unconfirmed: Unconfirmed, { seq, duplicate }: PubAck): void {
    const { outgoing, subject, done } = unconfirmed;
    const key = keyOf(outgoing, subject);
    const known = this.untaken.get(key);
    this.untaken.delete(key);
    this.untaken.set(key, seq);
    if (this.untaken.size > MOST_UNTAKEN) this.untaken.delete(this.untaken.keys().next().value!);
    const result: PublishResult | undefined =
      duplicate && known !== seq
        ? this.send({ ...unconfirmed, room: 0 })
        : { status: 'unroutable', error: unroutable(outgoing, this.names.stream) };
    if (result) done(outgoing, result);
  }

  private async noStream(outgoing: Outgoing, delayed: boolean, done: PublishDone): Promise<void> {
    const lacking = await this.on.streamMissing(outgoing, delayed);
    const error = new PublishFailedError(
      lacking?.message ?? 'JetStream is not available, or no stream takes the subject',
    );
    done(outgoing, { status: 'failed', error, ...(lacking && { missing: true }) });
  }

  private read(message: Msg): PubAck | PublishResult {
    let ack: PubAck;
    try {
      ack = JSON.parse(message.string()) as PubAck;
    } catch {
      return { status: 'failed', error: new PublishFailedError('The answer to the publish is not JetStream’s') };
    }
    if (!ack.error) return ack;
    const { code, err_code: errorCode, description = `error ${code}` } = ack.error;
    const text = `NATS refused the message: ${this.redact(description)}`;
    if (errorCode === apiCode.messageTooLarge || errorCode === apiCode.headersTooLarge)
      return { status: 'refused', error: new MessageTooLargeError(text) };
    if (code === 400) return { status: 'refused', error: new PublishRefusedError(text) };
    return { status: 'failed', error: new PublishFailedError(text), nacked: true };
  }

  /** A resend is recognised by its `Nats-Msg-Id`, so that what may still be under way is not stored twice. */
  private timedOut(late: readonly Unconfirmed[]): void {
    const error = new PublishFailedError('NATS did not acknowledge the publish in time');
    for (const { outgoing, done } of late) done(outgoing, { status: 'failed', error });
    this.on.silent(this.link);
  }
}

function keyOf({ dedupeId }: Outgoing, subject: string): string {
  return `${subject} ${dedupeId}`;
}
