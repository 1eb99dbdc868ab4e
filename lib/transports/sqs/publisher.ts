import type { SendMessageBatchCommandOutput } from '@aws-sdk/client-sqs';
import { sleep } from '../../clock/sleep.js';
import { nextTurn } from '../../clock/turn.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError, PublishFailedError, PublishRefusedError } from '../../errors/publish-errors.js';
import { unsendable } from '../../message/header-values.js';
import { header, stringHeader } from '../../message/headers.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../transport/transport.js';
import { answered } from '../../clock/answered.js';
import { delayedTooLong, tooLarge, unroutable } from '../kit/envelope.js';
import type { LinkPublisher } from '../kit/single-connection-transport.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import { encode, type Encoded, MOST_BYTES } from './codec.js';
import { isAnswer, isGone, isOverWhatWasSent, nameOf } from './errors.js';
import type { Link } from './link.js';
import { legalId } from './names.js';
import type { Settings } from './options.js';
import type { Queues } from './queues.js';
import type { Place } from './sns.js';

/** The longest that SQS delays one message. */
export const MAX_DELAY_MS = 900_000;
const MOST_ENTRIES = 10;
/** What SQS did not take is sent again after so long, twice as long each time, and so many times: then core has it. */
const AGAIN_AFTER_MS = 50;
const MOST_FAILURES = 5;

/** A message on its way to its queues. */
interface Sending {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
  /** Queues that have not answered. */
  left: number;
  failure?: PublishResult;
}

/** One copy of a message, for one queue. */
interface Copy extends Encoded {
  readonly sending: Sending;
  /** How often SQS did not take it. */
  failures: number;
}

/** What became of one entry of a request. */
interface Fate {
  readonly result: PublishResult;
  /** Sending the same again may help. */
  readonly again?: boolean;
}

/** Publishes in order: all of one turn, and what comes while a batch is under way, shares the next batch of its queue. */
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
    const entry = this.addressed(encoded.entry, outgoing);
    for (const place of queues) this.lineOf(link, place).add({ ...encoded, entry, sending, failures: 0 });
  }

  private addressed(entry: Encoded['entry'], { message, dueAt, dedupeId }: Outgoing): Encoded['entry'] {
    const { fifo, fairQueues } = this.settings;
    const key = stringHeader(message.headers, header.key);
    // What has no key waits for nobody.
    if (fifo) return { ...entry, MessageGroupId: legalId(key ?? dedupeId), MessageDeduplicationId: legalId(dedupeId) };
    const delayMs = dueAt === undefined ? 0 : dueAt - this.environment.clock.now();
    return {
      ...entry,
      // Whole seconds, and not early.
      ...(delayMs > 0 && { DelaySeconds: Math.min(900, Math.ceil(delayMs / 1_000)) }),
      ...(fairQueues && key !== undefined && { MessageGroupId: legalId(key) }),
    };
  }

  private lineOf(link: Link, place: Place): SendLine {
    const { queue, url, sns } = place;
    let line = this.lines.get(url);
    if (!line || line.link !== link) {
      line = new SendLine(link, place, {
        keepsOrder: this.settings.fifo,
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

interface LineParts {
  /** SQS may store what follows an entry that it did not take: so no group is twice in a request. */
  readonly keepsOrder: boolean;
  readonly environment: TransportEnvironment;
  readonly describe: (error: unknown) => string;
  readonly stored: () => void;
  readonly gone: () => void;
  readonly late: () => void;
  readonly idle: () => void;
}

/** What is sent to one queue: a batch at a time, in order. What SQS did not take of a batch goes first with the next. */
class SendLine {
  private waiting: Copy[] = [];
  private inFlight: readonly Copy[] = [];
  private working = false;
  private over = false;

  constructor(
    readonly link: Link,
    private readonly place: Place,
    private readonly parts: LineParts,
  ) {}

  add(copy: Copy): void {
    this.waiting.push(copy);
    if (this.working) return;
    this.working = true;
    // The rest of the turn shares the batch.
    queueMicrotask(() => void this.work());
  }

  fail(result: PublishResult): void {
    this.over = true;
    const copies = [...this.inFlight, ...this.waiting];
    this.inFlight = this.waiting = [];
    for (const copy of copies) settle(copy, result);
  }

  private async work(): Promise<void> {
    while (this.waiting.length > 0 && !this.over) {
      const batch = (this.inFlight = this.nextBatch());
      const fates = await this.send(batch);
      if (this.over) return;
      this.inFlight = [];
      const again = batch.filter((copy, at) => fates[at].again && ++copy.failures < MOST_FAILURES);
      batch.forEach((copy, at) => again.includes(copy) || settle(copy, fates[at].result));
      if (batch.length > again.length) this.parts.stored();
      this.waiting = [...again, ...this.waiting];
      if (again.length === 0) continue;
      const pauseMs = AGAIN_AFTER_MS * 2 ** (again[0].failures - 1);
      await sleep(this.parts.environment.clock, pauseMs, this.link.signal);
    }
    this.working = false;
    if (!this.over) this.parts.idle();
  }

  private nextBatch(): Copy[] {
    let bytes = 0;
    const most = this.place.sns?.mostBytes ?? MOST_BYTES;
    const batch: Copy[] = [];
    const groups = new Set<string>();
    for (const copy of this.waiting) {
      bytes += copy.bytes;
      if (batch.length === MOST_ENTRIES || (bytes > most && batch.length > 0)) break;
      const { MessageGroupId: group = '' } = copy.entry;
      if (this.parts.keepsOrder && groups.has(group)) break;
      groups.add(group);
      batch.push(copy);
    }
    this.waiting = this.waiting.slice(batch.length);
    return batch;
  }

  /** It does not reject. */
  private async send(batch: readonly Copy[]): Promise<readonly Fate[]> {
    const { environment, describe, late, gone } = this.parts;
    const { clock, confirmTimeout: ms } = environment;
    try {
      return fatesOf(await answered(this.ask(batch), { clock, ms }, late), batch.length);
    } catch (error) {
      const text = `${this.place.sns ? 'SNS' : 'SQS'} did not store the message: ${describe(error)}`;
      if (isGone(error)) gone();
      // One that spoils a request must not take the others along.
      else if (isAnswer(error) && isOverWhatWasSent(nameOf(error)))
        return batch.length === 1 ? [refused(text)] : this.oneByOne(batch);
      return batch.map(() => failed(text, isAnswer(error) && !isGone(error)));
    }
  }

  private ask(batch: readonly Copy[]): Promise<BatchAnswer> {
    const { link, place } = this;
    const entries = batch.map(({ entry }, at) => ({ Id: String(at), ...entry }));
    if (!place.sns) return link.ask(new link.sdk.SendMessageBatchCommand({ QueueUrl: place.url, Entries: entries }));
    const PublishBatchRequestEntries = entries.map(({ MessageBody: Message, ...rest }) => ({ ...rest, Message }));
    const { sdk, ask } = link.sns!;
    return ask(new sdk.PublishBatchCommand({ TopicArn: place.url, PublishBatchRequestEntries }));
  }

  private async oneByOne(batch: readonly Copy[]): Promise<readonly Fate[]> {
    const fates: Fate[] = [];
    for (const copy of batch) fates.push(...(await this.send([copy])));
    return fates;
  }
}

type BatchAnswer = Pick<SendMessageBatchCommandOutput, 'Successful' | 'Failed'>;

/** An entry that the answer does not name was not stored, as far as anybody knows. */
function fatesOf({ Successful = [], Failed = [] }: BatchAnswer, count: number): readonly Fate[] {
  const fates = Array.from({ length: count }, () => failed('SQS did not say what became of the message', true));
  for (const { Id } of Successful) fates[Number(Id)] = { result: CONFIRMED };
  for (const { Id, Code = '', Message = '', SenderFault } of Failed) {
    const text = `SQS did not store the message: ${Code}${Message && `: ${Message}`}`;
    fates[Number(Id)] = SenderFault && isOverWhatWasSent(Code) ? refused(text) : failed(text, true);
  }
  return fates;
}

function refused(text: string): Fate {
  return { result: { status: 'refused', error: new PublishRefusedError(text) } };
}

function failed(text: string, again: boolean): Fate {
  return { result: { status: 'failed', error: new PublishFailedError(text) }, again };
}

/** The message has its result when all its queues have answered: the worst. */
function settle({ sending }: Copy, result: PublishResult): void {
  if (result.status !== 'confirmed' && sending.failure?.status !== 'refused') sending.failure = result;
  if (--sending.left === 0) sending.done(sending.outgoing, sending.failure ?? CONFIRMED);
}
