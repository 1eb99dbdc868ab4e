import { nextTurn } from '../../clock/turn.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError, PublishFailedError } from '../../errors/publish-errors.js';
import { unsendable } from '../../message/header-values.js';
import { header, stringHeader } from '../../message/headers.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../transport/transport.js';
import { answered } from '../../clock/answered.js';
import { delayedTooLong, tooLarge, unroutable } from '../kit/envelope.js';
import type { LinkPublisher } from '../kit/single-connection-transport.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import { encode, type Encoded } from './codec.js';
import type { Link } from './link.js';
import { legalId } from './names.js';
import type { Settings } from './options.js';
import type { Queues } from './queues.js';
import { SendLine, type Sending } from './send-line.js';
import type { Place } from './sns.js';

/** The longest that SQS delays one message. */
export const MAX_DELAY_MS = 900_000;
/** All of one turn, and what comes while batches are under way, shares the next batch of its queue. */
export class Publisher implements LinkPublisher<Link> {
  private pending: Sending[] = [];
  private readonly lines = new Map<string, SendLine>();
  private working = false;

  constructor(
    private readonly settings: Settings,
    private readonly environment: TransportEnvironment,
    private readonly connection: SupervisedConnection<Link>,
    private readonly queues: Queues,
    /** This queue has got something. */
    private readonly stored: (queue: string) => void,
  ) {}

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    const refused: (readonly [Outgoing, PublishResult])[] = [];
    for (const outgoing of batch) {
      const error = this.refusal(outgoing);
      if (error) refused.push([outgoing, { status: 'refused', error }]);
      else if (!this.connection.current) refused.push([outgoing, { status: 'failed', error: this.notConnected() }]);
      else this.pending.push({ outgoing, done, left: 0 });
    }
    if (refused.length > 0) queueMicrotask(() => refused.forEach(([outgoing, result]) => done(outgoing, result)));
    if (this.working || this.pending.length === 0) return;
    this.working = true;
    nextTurn(() => void this.work());
  }

  /** The link is gone, and what was under way with it, though it may be stored. */
  end(): void {
    const failed: PublishResult = { status: 'failed', error: this.notConnected() };
    for (const sending of this.pending.splice(0)) sending.done(sending.outgoing, failed);
    const lines = [...this.lines.values()];
    this.lines.clear();
    for (const line of lines) line.fail(failed);
  }

  copy(to: Outgoing): Promise<PublishResult> {
    return new Promise((resolve) => this.publish([to], (_, result) => resolve(result)));
  }

  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }

  private refusal(outgoing: Outgoing): MessagingError | undefined {
    const { dueAt, message } = outgoing;
    const delayMs = dueAt === undefined ? 0 : dueAt - this.environment.clock.now();
    const isSns = this.settings.topics === 'sns' && outgoing.to.kind === 'route';
    return (
      tooLarge(outgoing, this.settings.maxBytes) ??
      delayedTooLong(
        delayMs,
        this.settings.fifo || isSns ? 0 : MAX_DELAY_MS,
        isSns ? 'a topic of SNS' : this.settings.fifo ? 'a FIFO queue of SQS' : 'SQS',
      ) ??
      unsendable(message.headers)
    );
  }

  /** Finds the queues, in the order of the publishes; each queue has its own line from then on. */
  private async work(): Promise<void> {
    for (let link = this.connection.current; link && this.pending.length > 0; link = this.connection.current) {
      const { clock, confirmTimeout: ms } = this.environment;
      try {
        const routing = this.queues.find(
          link,
          this.pending.map(({ outgoing }) => outgoing),
        );
        const count = this.pending.length;
        const late = (): void => this.connection.destroy('SQS does not answer', link);
        const found = await answered(routing, { clock, ms }, late);
        if (this.connection.current !== link) continue;
        this.pending.splice(0, count).forEach((sending, at) => this.route(link, sending, found[at]));
      } catch (error) {
        if (this.connection.current === link) this.failPending(error);
      }
    }
    this.working = false;
  }

  private failPending(error: unknown): void {
    const result = this.untold('SQS does not tell its queues', error);
    for (const { outgoing, done } of this.pending.splice(0)) done(outgoing, result);
  }

  private untold(what: string, error: unknown): PublishResult {
    return { status: 'failed', error: new PublishFailedError(`${what}: ${this.connection.describe(error)}`) };
  }

  private route(link: Link, sending: Sending, queues: readonly Place[] | Error): void {
    const { outgoing } = sending;
    if (queues instanceof Error) return sending.done(outgoing, this.untold('SNS does not tell its topic', queues));
    if (queues.length === 0) {
      const error = unroutable(outgoing, this.settings.topic);
      sending.done(outgoing, outgoing.mandatory ? { status: 'unroutable', error } : CONFIRMED);
      return;
    }
    const topic = this.queues.topicOf(outgoing.to);
    const { attributes } = this.settings;
    const encoded = encode(outgoing, { topic, attributes, sns: queues[0].sns });
    if (encoded instanceof MessagingError) return sending.done(outgoing, { status: 'refused', error: encoded });
    sending.left = queues.length;
    const key = this.address(encoded.entry, outgoing);
    const { entry, bytes } = encoded;
    for (const place of queues) this.lineOf(link, place).add({ entry, bytes, sending, key, failures: 0 });
  }

  /** Gives what has to keep its order with others. */
  private address(entry: Encoded['entry'], { message, dueAt, dedupeId }: Outgoing): string | undefined {
    const { fifo, fairQueues } = this.settings;
    const key = stringHeader(message.headers, header.key);
    if (fifo) {
      entry.MessageDeduplicationId = legalId(dedupeId);
      // What has no key waits for nobody.
      return (entry.MessageGroupId = key === undefined ? entry.MessageDeduplicationId : legalId(key));
    }
    const delayMs = dueAt === undefined ? 0 : dueAt - this.environment.clock.now();
    // Whole seconds, and not early.
    if (delayMs > 0) entry.DelaySeconds = Math.min(900, Math.ceil(delayMs / 1_000));
    if (fairQueues && key !== undefined) entry.MessageGroupId = legalId(key);
    return key;
  }

  private lineOf(link: Link, place: Place): SendLine {
    const { queue, url, sns } = place;
    let line = this.lines.get(url);
    if (!line || line.link !== link) {
      line = new SendLine(link, place, {
        onePerKey: this.settings.fifo,
        environment: this.environment,
        describe: (error) => this.connection.describe(error),
        stored: () => this.stored(queue),
        gone: () => (sns ? this.queues.topics?.forget(queue) : this.queues.forget(queue)),
        late: () => this.connection.destroy('SQS does not answer', link),
        idle: () => void (this.lines.get(url) === line && this.lines.delete(url)),
      });
      this.lines.set(url, line);
    }
    return line;
  }

  private notConnected(): NotConnectedError {
    return new NotConnectedError(`Not connected to SQS: ${this.connection.reason}`);
  }
}
