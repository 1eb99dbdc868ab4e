import { setMaxListeners } from 'node:events';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { sleep } from '../../clock/sleep.js';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { TransportDescription } from '../../transport/description.js';
import type { Browser, QueueOperations } from '../../transport/queue-operations.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { type Attachment, type LinkParts, SingleConnectionTransport } from '../kit/single-connection-transport.js';
import { QueueBrowser } from './browser.js';
import { Claims } from './claims.js';
import { describeSqs } from './description.js';
import { EventSource, notConsumed, type SqsRecord } from './events.js';
import { type Link, SqsDialer } from './link.js';
import type { Settings } from './options.js';
import { SqsProvisioning } from './provisioning.js';
import { MAX_DELAY_MS, Publisher } from './publisher.js';
import { PRESENT_EVERY_MS, Queues } from './queues.js';
import type { QueueRecord } from './routes.js';
import { SqsSession } from './session.js';

/** A poll that does not wait asks only some of the servers of SQS. */
const LOOK_WAIT_MS = 1_000;
/** Until it is looked again whether sessions are there that come with a link. */
const LOOK_AGAIN_MS = 25;
/** SQS hides a message for 12 hours from its receipt, of which the handler has had some. */
const MAX_RELEASE_MS = 39_600_000;
/** How much longer than a poll the consumers may take to close. */
const CLOSE_MARGIN_MS = 4_000;

/** The client, for what this package does not do itself: undefined while SQS does not answer, and another one after that. */
export interface SqsNative {
  readonly client: SQSClient | undefined;
  /** With `lambda: true`, for `createSqsHandler`: whether each message of an event was handled within so many milliseconds. */
  readonly handle?: (records: readonly SqsRecord[], withinMs?: number) => Promise<readonly boolean[]>;
}

interface Own {
  readonly queues: Queues;
  readonly publisher: Publisher;
}

/** Queues of Amazon SQS. */
export class SqsTransport extends SingleConnectionTransport<Own, Link, SqsSession, QueueRecord> {
  readonly system = 'sqs';
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations;
  readonly provisioning: SqsProvisioning;
  protected override readonly givesBackAtOnce: boolean;
  protected override readonly closeWithinMs: number;
  private sqs?: SqsDialer;

  constructor(private readonly settings: Settings) {
    super('SQS');
    this.givesBackAtOnce = settings.fifo;
    this.closeWithinMs = settings.waitTime + CLOSE_MARGIN_MS;
    this.capabilities = {
      durable: true,
      retry: 'redelivery',
      // In a FIFO queue a copy would lose its place.
      ...(!settings.fifo && { maxReleaseMs: MAX_RELEASE_MS }),
      wildcards: true,
      keyOrder: settings.fifo ? 'key' : 'none',
      // What is delayed waits with its publisher.
      maxDelayMs: settings.fifo || settings.topics === 'sns' ? 0 : MAX_DELAY_MS,
      leaseMs: settings.lease,
      keepsExclusive: true,
      maxBytes: settings.maxBytes,
    };
    this.queues = {
      depth: (queue) => this.ask(async (link) => (await this.connected().queues.operations.count(link, queue))?.ready),
      browse: (queue, rest) => this.browse(queue, rest as QueueBrowser | undefined),
      list: (scope) => this.ask((link) => this.connected().queues.operations.list(link, scope)),
      unbind: (topology) => this.unbind(topology),
      compare: (topologies) => this.compare(topologies),
    };
    this.provisioning = new SqsProvisioning(() => {
      const { service, clock } = this.connected().environment;
      const [looking, making] = [false, true].map((provision) => new Queues({ settings, service, provision, clock }));
      const { queue: describe } = this.description as { queue: NonNullable<TransportDescription['queue']> };
      return { looking, making, service, describe, ask: (question) => this.ask(question) };
    });
  }

  get host(): string {
    return this.settings.host;
  }

  get description(): TransportDescription {
    return describeSqs(this.settings);
  }

  native(): SqsNative {
    const client = this.assembled?.connection.current?.client;
    return this.settings.lambda
      ? { client, handle: (records, withinMs) => this.handle(records, withinMs) }
      : { client };
  }

  protected dialer({ clock }: TransportEnvironment): SqsDialer {
    const prepare = (link: Link): Promise<void> => this.connected().subscriptions.redeclare(link);
    return (this.sqs = new SqsDialer({ settings: this.settings, clock, prepare }));
  }

  protected build({ environment, connection, subscriptions }: LinkParts<Link, SqsSession, QueueRecord>): Own {
    const { settings } = this;
    const { clock, service, provision } = environment;
    const queues = new Queues({ settings, service, provision, clock });
    const stored = (queue: string): void => {
      for (const session of subscriptions.sessions) if (session.record.queue === queue) session.wake();
    };
    return { queues, publisher: new Publisher(settings, environment, connection, queues, stored) };
  }

  protected attach({ link, made, prefetch, handlers }: Attachment<Link, QueueRecord>): SqsSession {
    const { lease, waitTime, topic, fifo, lambda } = this.settings;
    const { connection, environment, queues, publisher } = this.connected();
    const claims = this.claims(link, made);
    return new SqsSession(lambda ? new EventSource(claims) : claims, {
      record: made,
      topic,
      fifo,
      prefetch,
      leaseMs: lease,
      waits: waitTime > 0 || lambda,
      rests: fifo && !lambda,
      clock: environment.clock,
      handlers,
      describe: (error) => connection.describe(error),
      present: (by, isThere) => (isThere ? queues.present(link, made.url, by) : queues.absent(link, made.url, by)),
      presentEveryMs: PRESENT_EVERY_MS,
      publish: (to) => publisher.copy(to),
    });
  }

  protected ping(link: Link): Promise<unknown> {
    return this.sqs!.ping(link);
  }

  private claims(link: Link, { url }: QueueRecord, waitTime = this.settings.waitTime): Claims {
    return new Claims(link, url, this.settings.lease / 1_000, waitTime / 1_000);
  }

  private browse(queue: string, rest: QueueBrowser | undefined): Promise<Browser> {
    const { lease: leaseMs, topic } = this.settings;
    const { publisher, environment, queues } = this.connected();
    return this.ask(async (link) => {
      const url = await queues.url(link, queue);
      if (url === undefined) throw new TopologyMismatchError(`There is no queue «${queue}»`);
      const claims = this.claims(link, { queue, url, patterns: [] }, Math.min(this.settings.waitTime, LOOK_WAIT_MS));
      const count = (): Promise<number> => queues.operations.total(link, url);
      const copy: typeof publisher.copy = (to) => publisher.copy(to);
      const ready = async (): Promise<number> => (await queues.operations.count(link, queue))?.ready ?? 0;
      return QueueBrowser.open({ queue, topic, claims, count, ready, copy, leaseMs, clock: environment.clock }, rest);
    });
  }

  /** @throws UnsupportedError, NotConnectedError */
  private async handle(records: readonly SqsRecord[], withinMs?: number): Promise<readonly boolean[]> {
    const { environment } = this.connected();
    const over = new AbortController();
    setMaxListeners(0, over.signal);
    const cancel = withinMs === undefined ? () => {} : environment.clock.after(withinMs, () => over.abort());
    try {
      const sessions = await this.sessionsOf(records, over.signal, withinMs !== undefined);
      const answers = records.map(async (record, at) => {
        const session = sessions[at];
        return session.consuming && (session.claims as EventSource).take(record, over.signal);
      });
      const isHandled = await Promise.all(answers);
      if (over.signal.aborted) await Promise.all([...new Set(sessions)].map((session) => session.check()));
      return isHandled;
    } finally {
      cancel();
    }
  }

  /** Of each message. What an outage took along is waited for: until the end of the call nothing is lost by that. */
  private async sessionsOf(
    records: readonly SqsRecord[],
    over: AbortSignal,
    mayWait: boolean,
  ): Promise<readonly SqsSession[]> {
    const { subscriptions, environment, connection, queues } = this.connected();
    for (;;) {
      const sessions = [...subscriptions.sessions].filter(({ started }) => started || !mayWait);
      const byName = new Map(sessions.map((session) => [nameIn(session.record.url, '/'), session]));
      const found = records.map(({ eventSourceARN }) => byName.get(nameIn(eventSourceARN, ':')));
      const unknown = found.indexOf(undefined);
      if (unknown < 0) return found as SqsSession[];
      const { eventSourceARN } = records[unknown];
      const declared = [...subscriptions.declared.keys()];
      const isOurs = declared.some((queue) => queues.nameOf(queue) === nameIn(eventSourceARN, ':'));
      if (!mayWait || !isOurs || over.aborted)
        throw notConsumed(eventSourceARN, declared, connection.current !== undefined);
      await connection.whenOpen(over);
      await sleep(environment.clock, LOOK_AGAIN_MS, over);
    }
  }
}

const nameIn = (place: string, mark: string): string => place.slice(place.lastIndexOf(mark) + 1);
