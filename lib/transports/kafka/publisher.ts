import { MessagingError } from '../../errors/messaging-error.js';
import { PublishFailedError, PublishRefusedError } from '../../errors/publish-errors.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../transport/transport.js';
import { answered } from '../../clock/answered.js';
import { nextTurn, turned } from '../../clock/turn.js';
import { delayedTooLong, tooLarge, unroutable } from '../kit/envelope.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import type { ClientError, OutgoingRecord } from './client-port.js';
import { encode } from './codec.js';
import { delayed, MAX_DELAY_MS } from './delayed.js';
import { isOverMissingTopic, isOverWhatWasSent, refusal } from './errors.js';
import type { Link } from './link.js';
import type { Names } from './names.js';
import type { Settings } from './options.js';
import type { Topics } from './topics.js';

/** So much goes in one request, unless `maxBytes` is less: Kafka takes 1 MiB for one partition. */
const MOST_RECORDS = 1_000;
const MOST_BYTES = 900_000;
/** What a record takes beside key, body and headers, at most. */
const OVERHEAD_BYTES = 100;

/** One record on its way. */
export interface Sending {
  readonly record: OutgoingRecord;
  /** What is told where its topic is missing. `dropped`: nobody minds. */
  readonly missing: () => PublishResult;
  readonly tell: (result: PublishResult) => void;
}

/** Sends records in their order, one request at a time: what is published in a turn, or meanwhile, shares the next one. */
export class Publisher {
  private queue: Sending[] = [];
  private sending = false;

  constructor(
    private readonly settings: Pick<Settings, 'maxBytes' | 'topic'>,
    private readonly names: Names,
    private readonly environment: TransportEnvironment,
    private readonly connection: SupervisedConnection<Link>,
    private readonly topics: Topics,
    /** Somebody has to send on what is due. */
    private readonly forward: () => void,
  ) {}

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    for (const outgoing of batch) {
      const tell = (result: PublishResult): void => done(outgoing, result);
      const record = this.recordOf(outgoing);
      if (record instanceof MessagingError) queueMicrotask(() => tell({ status: 'refused', error: record }));
      else this.send({ record, missing: () => this.nobodyThere(outgoing, record), tell });
    }
  }

  send(sending: Sending): void {
    this.queue.push(sending);
    if (this.sending) return;
    this.sending = true;
    nextTurn(() => void this.sendAll());
  }

  private async sendAll(): Promise<void> {
    while (this.queue.length > 0) {
      const link = this.connection.current;
      if (link) await this.sendTogether(link, this.takeSome());
      else this.failAll(this.queue.splice(0), `Not connected to Kafka: ${this.connection.reason}`);
      // Whoever was told publishes the next: a request for the first of them would keep the others waiting.
      await turned();
    }
    this.sending = false;
  }

  private takeSome(): Sending[] {
    const most = Math.min(MOST_BYTES, this.settings.maxBytes);
    let bytes = 0;
    let count = 0;
    for (; count < Math.min(this.queue.length, MOST_RECORDS); count++) {
      bytes += sizeOf(this.queue[count].record);
      if (count > 0 && bytes > most) break;
    }
    return this.queue.splice(0, count);
  }

  private async sendTogether(link: Link, batch: readonly Sending[]): Promise<void> {
    let there = batch;
    try {
      const topics = new Set(batch.map(({ record }) => record.topic));
      const missing = await link.answered(this.topics.provide(link, topics));
      if (missing.size > 0) {
        there = batch.filter(({ record }) => !missing.has(record.topic));
        for (const { record, missing: say, tell } of batch) if (missing.has(record.topic)) tell(say());
      }
      if (there.length === 0) return;
      await this.produce(link, there);
      for (const { tell } of there) tell(CONFIRMED);
    } catch (error) {
      await this.failed(link, there, error);
    }
  }

  private async produce(link: Link, batch: readonly Sending[]): Promise<void> {
    const { clock, confirmTimeout } = this.environment;
    const produced = link.client.produce(batch.map(({ record }) => record));
    await answered(link.answered(produced), { clock, ms: confirmTimeout });
  }

  private async failed(link: Link, batch: readonly Sending[], error: unknown): Promise<void> {
    const text = this.connection.describe(error);
    if (isOverWhatWasSent(error)) {
      if (batch.length === 1) return batch[0].tell({ status: 'refused', error: refusal(error as ClientError, text) });
      // One of them is not taken. The others are sent again, and may be there twice.
      for (const one of batch) await this.sendTogether(link, [one]);
      return;
    }
    if (error instanceof MessagingError && !error.retryable) {
      for (const { tell } of batch) tell({ status: 'refused', error });
      return;
    }
    this.failAll(batch, `Kafka did not take the message: ${text}`);
    if (isOverMissingTopic(error))
      this.topics.forget(
        link,
        batch.map(({ record }) => record.topic),
      );
    else if (!(error instanceof MessagingError)) this.connection.destroy(text, link);
  }

  private failAll(batch: readonly Sending[], text: string): void {
    const error = new PublishFailedError(text);
    for (const { tell } of batch) tell({ status: 'failed', error });
  }

  /** @returns why it is not sent at all */
  private recordOf(outgoing: Outgoing): OutgoingRecord | MessagingError {
    const now = this.environment.clock.now();
    const { dueAt = 0 } = outgoing;
    const refused = tooLarge(outgoing, this.settings.maxBytes) ?? delayedTooLong(dueAt - now, MAX_DELAY_MS, 'Kafka');
    if (refused) return refused;
    try {
      const record = encode(outgoing, this.names.topicOf(outgoing.to, this.topics.deadLetters));
      if (dueAt <= now) return record;
      this.forward();
      return delayed(record, { dueAt, optional: !outgoing.mandatory }, now, this.names);
    } catch (error) {
      return error instanceof MessagingError ? error : new PublishRefusedError((error as Error).message);
    }
  }

  /** A message that was to wait is sent to a topic for waits, also if it is due by now. */
  private nobodyThere(outgoing: Outgoing, { topic }: OutgoingRecord): PublishResult {
    const { to, mandatory } = outgoing;
    if (to.kind === 'route' || topic.startsWith(`${this.names.delayGroup}.`)) {
      const error = new PublishFailedError(
        `There is no topic «${to.kind === 'route' ? this.names.routeTopic(to.topic, to.route) : this.names.delayGroup}» on the broker, and «provision: false» does not let it be made`,
      );
      return { status: 'failed', error, missing: true };
    }
    return mandatory ? { status: 'unroutable', error: unroutable(outgoing, this.settings.topic) } : CONFIRMED;
  }
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let size = OVERHEAD_BYTES + value.length + bytesOf(key);
  for (const name in headers) {
    const text = headers[name];
    if (Array.isArray(text)) for (const one of text) size += bytesOf(one) + bytesOf(name) + 4;
    else size += bytesOf(text) + bytesOf(name) + 4;
  }
  return size;
}

function bytesOf(value: string | Buffer | null | undefined): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : (value?.length ?? 0);
}
