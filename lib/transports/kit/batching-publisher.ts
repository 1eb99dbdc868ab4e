import { nextTurn } from '../../clock/turn.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError, PublishRefusedError } from '../../errors/publish-errors.js';
import { unsendable } from '../../message/header-values.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../transport/transport.js';
import { answered } from '../../clock/answered.js';
import { delayedTooLong, tooLarge, unspeakable } from './envelope.js';
import { Quarantine } from './quarantine.js';
import { type Dialer, SupervisedConnection } from './supervised-connection.js';

/** One publish, or the move of a delivery. */
export interface BatchedSending<Source> {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
  /** Milliseconds, more than 0 for what is delayed. */
  readonly delayMs: number;
  /** What is removed in the same step; undefined for a publish. */
  readonly source?: Source;
}

export interface BatchingOptions<L extends object> {
  /** The broker's name, for people. */
  readonly broker: string;
  readonly environment: TransportEnvironment;
  readonly connection: SupervisedConnection<L>;
  /** The largest body in bytes, and the longest delay in milliseconds. */
  readonly maxBytes: number;
  readonly maxDelayMs: number;
  /** The most in one batch: messages, and bytes of bodies. */
  readonly mostMessages: number;
  readonly mostBytes: number;
  /** Opens the links of what is suspected of ending them. */
  readonly quarantine: () => Dialer<L>;
}

/** What is under way on a link. */
export interface Batch<L extends object, Source> {
  readonly link: L;
  readonly sendings: readonly BatchedSending<Source>[];
}

/**
 * Publishes in order, one batch at a time: all that is published in one turn, or while another batch is under way, shares
 * the next one. Each message has a result of its own; what was in flight when the broker ended the link over something that
 * it was sent goes one by one over links of its own.
 */
export abstract class BatchingPublisher<L extends object, Source = never> {
  private readonly quarantine: Quarantine<L, BatchedSending<Source>>;
  private pending: BatchedSending<Source>[] = [];
  private inFlight: Batch<L, Source> | undefined;
  private working = false;

  constructor(protected readonly batching: BatchingOptions<L>) {
    const { broker, environment, quarantine } = batching;
    this.quarantine = new Quarantine({
      broker,
      environment,
      connect: () => new SupervisedConnection(quarantine(), environment, { opened() {}, lost() {}, warning() {} }),
      send: (connection, link, sending) => this.alone(connection, link, sending),
      refusal: (reason) => new PublishRefusedError(`${broker} refuses the message: ${reason}`),
    });
  }

  /** Stores what is given and tells the result of each, in their order. It may reject. */
  protected abstract store(
    connection: SupervisedConnection<L>,
    batch: Batch<L, Source>,
  ): Promise<readonly PublishResult[]>;

  /**
   * The result of every message of a batch that `store` rejected, with `text` for people. It must not resolve before nothing
   * of the batch is under way any more.
   */
  protected abstract failure(
    error: unknown,
    text: string,
    connection: SupervisedConnection<L>,
    link: L,
  ): PublishResult | Promise<PublishResult>;

  publish(batch: readonly Outgoing[], done: PublishDone, source?: Source): void {
    const { clock } = this.batching.environment;
    const known: (readonly [Outgoing, PublishResult])[] = [];
    for (const outgoing of batch) {
      const { dueAt } = outgoing;
      const delayMs = dueAt === undefined ? 0 : dueAt - clock.now();
      const result = this.known(outgoing, delayMs);
      if (result) known.push([outgoing, result]);
      else this.take({ outgoing, done, delayMs, source });
    }
    if (known.length > 0) queueMicrotask(() => known.forEach(([outgoing, result]) => done(outgoing, result)));
  }

  /** Publishes a copy and removes its source, in one step. */
  move(source: Source, to: Outgoing): Promise<PublishResult> {
    return new Promise((resolve) => this.publish([to], (_, result) => resolve(result), source));
  }

  /** The connection is gone. What was under way has failed, though it may be stored; or it is sent again one by one. */
  end(): void {
    const { inFlight, pending, quarantine } = this;
    this.inFlight = undefined;
    this.pending = [];
    if (inFlight) this.interrupted(inFlight);
    if (inFlight && this.batching.connection.isSuspicious) quarantine.takeAll(inFlight.sendings, tell);
    else if (inFlight) this.failAll(inFlight.sendings);
    this.failAll(pending);
  }

  async close(): Promise<void> {
    this.end();
    await this.quarantine.close();
  }

  /** What is known of a message without sending it, beside what no message may be. */
  protected resultOf(_outgoing: Outgoing): PublishResult | undefined {
    return undefined;
  }

  /** A message is at fault, and the broker does not say which: each is stored alone, and that one is refused. */
  protected isOverOne(_error: unknown): boolean {
    return false;
  }

  /** Nobody knows whether the batch was stored: its link is gone. */
  protected interrupted(_batch: Batch<L, Source>): void {}

  /** Whether a message may be in the batch that `first` begins. */
  protected goesWith(_first: BatchedSending<Source>, _other: BatchedSending<Source>): boolean {
    return true;
  }

  /** The answer of the broker. Where it does not come in time the link is destroyed. */
  protected within<T>(connection: SupervisedConnection<L>, link: L, answer: Promise<T>): Promise<T> {
    const { clock, confirmTimeout: ms } = this.batching.environment;
    return answered(answer, { clock, ms }, () => connection.destroy('the server does not answer', link));
  }

  private known(outgoing: Outgoing, delayMs: number): PublishResult | undefined {
    const error = this.refusal(outgoing, delayMs);
    if (error) return { status: 'refused', error };
    const result = this.resultOf(outgoing);
    if (result) return result;
    return this.batching.connection.current ? undefined : { status: 'failed', error: this.notConnected() };
  }

  private refusal(outgoing: Outgoing, delayMs: number): MessagingError | undefined {
    const { maxBytes, maxDelayMs, broker } = this.batching;
    return (
      tooLarge(outgoing, maxBytes) ??
      delayedTooLong(delayMs, maxDelayMs, broker) ??
      unsendable(outgoing.message.headers) ??
      unspeakable(outgoing.to)
    );
  }

  private take(sending: BatchedSending<Source>): void {
    if (this.quarantine.isFor(sending.outgoing.message)) return this.quarantine.take(sending, tell);
    this.pending.push(sending);
    if (this.working) return;
    this.working = true;
    nextTurn(() => void this.work());
  }

  private async work(): Promise<void> {
    const { connection } = this.batching;
    for (let link = connection.current; link && this.pending.length > 0; link = connection.current) {
      const batch = { link, sendings: this.nextSendings() };
      this.inFlight = batch;
      const results = await this.results(connection, batch);
      // Its end was told when the connection was gone.
      if (this.inFlight !== batch) continue;
      this.inFlight = undefined;
      batch.sendings.forEach((sending, index) => tell(sending, results[index]));
    }
    this.working = false;
  }

  private nextSendings(): BatchedSending<Source>[] {
    const { mostMessages, mostBytes } = this.batching;
    const [first] = this.pending;
    let bytes = 0;
    let count = 0;
    for (const sending of this.pending) {
      bytes += sending.outgoing.message.body.length;
      if (count === mostMessages || (count > 0 && (bytes > mostBytes || !this.goesWith(first, sending)))) break;
      count++;
    }
    return this.pending.splice(0, count);
  }

  /** Does not reject; at the latest it resolves when the link has ended. */
  private async results(
    connection: SupervisedConnection<L>,
    batch: Batch<L, Source>,
  ): Promise<readonly PublishResult[]> {
    const { link, sendings } = batch;
    try {
      return await this.store(connection, batch);
    } catch (error) {
      const text = `${this.batching.broker} did not store the message: ${connection.describe(error)}`;
      const isOver = this.isOverOne(error);
      if (isOver && sendings.length > 1) return this.oneByOne(connection, batch);
      if (isOver) return [{ status: 'refused', error: new PublishRefusedError(text) }];
      const result = await this.failure(error, text, connection, link);
      return sendings.map(() => result);
    }
  }

  private async oneByOne(
    connection: SupervisedConnection<L>,
    { link, sendings }: Batch<L, Source>,
  ): Promise<readonly PublishResult[]> {
    const results: PublishResult[] = [];
    for (const one of sendings) results.push(...(await this.results(connection, { link, sendings: [one] })));
    return results;
  }

  private async alone(
    connection: SupervisedConnection<L>,
    link: L,
    sending: BatchedSending<Source>,
  ): Promise<PublishResult> {
    const batch = { link, sendings: [sending] };
    const [result] = await this.results(connection, batch);
    if (result.status === 'failed' && connection.current !== link) this.interrupted(batch);
    return result;
  }

  private failAll(sendings: readonly BatchedSending<Source>[]): void {
    if (sendings.length === 0) return;
    const error = this.notConnected();
    for (const sending of sendings) tell(sending, { status: 'failed', error });
  }

  private notConnected(): NotConnectedError {
    const { broker, connection } = this.batching;
    return new NotConnectedError(`Not connected to ${broker}: ${connection.reason}`);
  }
}

function tell<Source>({ outgoing, done }: BatchedSending<Source>, result: PublishResult): void {
  done(outgoing, result);
}
