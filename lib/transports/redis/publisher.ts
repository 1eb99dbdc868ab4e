import { isUtf8 } from 'node:buffer';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import { PublishFailedError } from '../../errors/publish-errors.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { type Batch, type BatchedSending, BatchingPublisher } from '../kit/batching-publisher.js';
import { unroutable } from '../kit/envelope.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import { isAnswer, isOutOfMemory, isOverWhatWasSent } from './server.js';
import { type Link, RedisDialer } from './link.js';
import { keyOf, type RedisDelivery, writeHead } from './message.js';
import type { Settings } from './options.js';
import type { Names, Routes } from './routes.js';
import { scripts } from './scripts.js';

/** A year. */
export const MAX_DELAY_MS = 365 * 24 * 3_600_000;
/** The most that one script stores: messages, and bytes of bodies. */
const MOST_MESSAGES = 500;
const MOST_BYTES = 2 ** 23;
/** The largest body that is copied so that it can be written as text, in bytes. */
const MOST_AS_TEXT = 2 ** 16;
/** Of so many publishes whose answer was lost it is known whether they were stored. */
const MOST_STORED = 100_000;

type Sending = BatchedSending<Source>;

export interface Source {
  readonly queue: string;
  readonly owner: string;
  readonly delivery: RedisDelivery;
}

/** The last script that stores a batch: its number, and the places in the batch of what it stores. */
interface Sent {
  readonly number: number;
  readonly places: readonly number[];
}

/**
 * Scripts of a link are numbered, and the last number that was stored stands beside the messages. So after a lost answer the
 * next link knows what was stored, and confirms it when it is published again.
 */
export class Publisher extends BatchingPublisher<Link, Source> {
  private readonly numbers = new WeakMap<Link, number>();
  private readonly sent = new WeakMap<readonly Sending[], Sent>();
  /** Their answers were lost. */
  private readonly doubtful: Batch<Link, Source>[] = [];
  private readonly stored = new Set<string>();

  constructor(
    settings: Settings,
    private readonly names: Names,
    private readonly routes: Routes,
    environment: TransportEnvironment,
    connection: SupervisedConnection<Link>,
  ) {
    const { clock, service } = environment;
    super({
      broker: 'Redis',
      environment,
      connection,
      maxBytes: settings.maxBytes,
      maxDelayMs: MAX_DELAY_MS,
      mostMessages: MOST_MESSAGES,
      mostBytes: MOST_BYTES,
      quarantine: () => new RedisDialer({ settings, names, clock, service: `${service} (quarantine)` }),
    });
  }

  /** What was under way when earlier links ended: stored or not, and not to be stored any more. Before a link is used. */
  async resolve(link: Link): Promise<void> {
    for (let batch = this.doubtful[0]; batch; batch = this.doubtful[0]) {
      const told = await link.run<string>(scripts.fence, [this.names.publisher(batch.link.id)]);
      if (this.doubtful[0] !== batch) continue;
      this.doubtful.shift();
      const [last, ...failed] = told.split(' ').map(Number);
      const { number, places } = this.sent.get(batch.sendings) ?? { number: Infinity, places: [] };
      if (last < number) continue;
      for (const [at, place] of places.entries()) {
        const { outgoing, source } = batch.sendings[place];
        if (!source && !failed.includes(at + 1) && this.stored.size < MOST_STORED)
          this.stored.add(identityOf(outgoing));
      }
    }
  }

  protected override resultOf(outgoing: Outgoing): PublishResult | undefined {
    return this.stored.size > 0 && this.stored.delete(identityOf(outgoing)) ? CONFIRMED : undefined;
  }

  protected override interrupted(batch: Batch<Link, Source>): void {
    this.doubtful.push(batch);
  }

  /** Moves go together, and everything else does: only moves may be stored where no memory is left. */
  protected override goesWith(first: Sending, other: Sending): boolean {
    return (first.source === undefined) === (other.source === undefined);
  }

  protected async store(
    connection: SupervisedConnection<Link>,
    { link, sendings }: Batch<Link, Source>,
  ): Promise<readonly PublishResult[]> {
    if (this.doubtful.length > 0) await this.within(connection, link, this.resolve(link));
    if (sendings.length === 1 && !sendings[0].source && this.stored.delete(identityOf(sendings[0].outgoing)))
      return [CONFIRMED];
    for (;;) {
      const { places, run, results } = this.prepared(link, sendings);
      const [status, failed = [], lost = []] = await this.within(connection, link, run());
      if (status < 0) throw new Error('another connection goes on for this one');
      if (status === 0) {
        await this.routes.load(link);
        continue;
      }
      for (const [at, reason] of failed)
        results[places[at - 1]] = failure(`Redis did not store the message: ${connection.redact(reason)}`);
      for (const at of lost)
        results[places[at - 1]] = {
          status: 'failed',
          error: new DeliveryLostError('Another consumer has the message by now'),
        };
      return results;
    }
  }

  protected async failure(
    error: unknown,
    text: string,
    connection: SupervisedConnection<Link>,
    link: Link,
  ): Promise<PublishResult> {
    if (!isAnswer(error)) {
      if (!isOverWhatWasSent(error)) connection.destroy('the server does not answer', link);
      await link.closed;
    }
    if (!isOutOfMemory(error)) return failure(text);
    return failure(`${text}. Its memory is full (maxmemory): publishing goes on once there is room`, true);
  }

  /** What stores them if the routes are as they are known now; the places of what that stores, and the results then. */
  private prepared(link: Link, sendings: readonly Sending[]) {
    const { names, routes } = this;
    const keys = [names.version, names.publisher(link.id), names.idle];
    const places = new Map<string, number>();
    const placeOf = (queue: string): number => {
      let place = places.get(queue);
      if (place === undefined) {
        const [stream, , waiting] = names.queue(queue);
        places.set(queue, (place = keys.push(stream, waiting) - 1));
      }
      return place;
    };
    const isFull = sendings.some(({ delayMs, source }) => delayMs > 0 || source);
    const values: (string | number | Buffer)[] = [];
    const sent: number[] = [];
    const woken = new Set<string>();
    const results = sendings.map(({ outgoing, delayMs, source }, index): PublishResult => {
      const { to, message, mandatory } = outgoing;
      const queues = routes.of(to);
      if (queues.length === 0 && mandatory) return { status: 'unroutable', error: unroutable(outgoing, routes.topic) };
      if (queues.length === 0 && !source) return CONFIRMED;
      sent.push(index);
      const head = writeHead(message, routes.topicOf(to));
      values.push(
        queues.length === 1 ? placeOf(queues[0]) : queues.map(placeOf).join(),
        head,
        argumentOf(message.body),
        keyOf(message),
      );
      for (const queue of queues) woken.add(queue);
      if (!isFull) return CONFIRMED;
      values.push(Math.max(0, Math.ceil(delayMs)));
      if (source) values.push(placeOf(source.queue), source.owner, source.delivery.id);
      else values.push('', '', '');
      return CONFIRMED;
    });
    const number = (this.numbers.get(link) ?? 0) + 1;
    const script = sendings[0].source ? scripts.move : isFull ? scripts.publishFull : scripts.publish;
    const run = (): Promise<Answer> => {
      this.numbers.set(link, number);
      this.sent.set(sendings, { number, places: sent });
      return link.run(script, keys, [routes.version, number, [...woken].join('\0'), ...values]);
    };
    return { places: sent, run, results };
  }
}

type Answer = [status: number, failed?: [number, string][], lost?: number[]];

/** The client writes texts for less than half of what it takes for bytes. */
function argumentOf(body: Buffer): string | Buffer {
  return body.length <= MOST_AS_TEXT && isUtf8(body) ? body.toString() : body;
}

function failure(text: string, nacked = false): PublishResult {
  return { status: 'failed', error: new PublishFailedError(text), ...(nacked && { nacked }) };
}

/** The same where the same is published again, to the same place. */
function identityOf({ to, dedupeId }: Outgoing): string {
  const place = to.kind === 'queue' ? to.queue : `${to.route}\0${(to.kind === 'route' && to.topic) || ''}`;
  return `${to.kind}\0${place}\0${dedupeId}`;
}
