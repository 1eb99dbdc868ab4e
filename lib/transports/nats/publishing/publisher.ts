import { sleep } from '../../../clock/sleep.js';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import type { MessagingError } from '../../../errors/messaging-error.js';
import { NotConnectedError } from '../../../errors/publish-errors.js';
import type { Outgoing, PublishResult } from '../../../transport/outgoing.js';
import type { PublishDone, TransportEnvironment } from '../../../transport/transport.js';
import type { SupervisedConnection } from '../../kit/supervised-connection.js';
import { describe } from '../connection/broker-errors.js';
import { delayedTooLong, tooLarge } from '../../kit/envelope.js';
import { subjectOf } from '../wire/encode.js';
import { copyRoom } from '../wire/fitting.js';
import type { Sending } from './confirm-window.js';
import type { DelayedStream } from '../topology/delayed-stream.js';
import type { Link } from '../connection/link.js';
import type { Names } from '../names.js';
import type { Settings } from '../options.js';
import { PublishChannel } from './publish-channel.js';
import { type NatsQuarantine, natsQuarantine } from './quarantine.js';
import type { Streams } from '../topology/streams.js';

/** A year. */
export const MAX_DELAY_MS = 365 * 24 * 3_600_000;

/** Publishes while there is a connection; without one everything fails at once. */
export class Publisher {
  private channel?: PublishChannel;
  private readonly quarantine: NatsQuarantine;
  private probing = false;
  private repairing = false;
  /** What several publishes miss is looked for once. */
  private readonly looking = new Map<string, Promise<MessagingError | undefined>>();

  constructor(
    private readonly names: Names,
    private readonly settings: Settings,
    private readonly environment: TransportEnvironment,
    private readonly connection: SupervisedConnection<Link>,
    private readonly streams: Streams,
    private readonly delayed: DelayedStream,
    private readonly delaying: () => void,
  ) {
    this.quarantine = natsQuarantine(settings.address, environment, (link, connection) =>
      this.channelOn(link, connection),
    );
  }

  open(link: Link): void {
    this.channel = this.channelOn(link, this.connection);
  }

  /** The connection is gone. */
  end(reason: string): void {
    const { channel, quarantine } = this;
    this.channel = undefined;
    const { isSuspicious } = this.connection;
    channel?.end(reason, isSuspicious ? (sendings) => quarantine.takeAll(sendings, tell) : undefined);
  }

  async close(): Promise<void> {
    this.end('closed');
    await this.quarantine.close();
  }

  forgetRoutes(): void {
    this.channel?.forgetRoutes();
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    const settled: (readonly [Outgoing, PublishResult])[] = [];
    for (const outgoing of batch) {
      const result = this.send(outgoing, done);
      if (result) settled.push([outgoing, result]);
    }
    if (settled.length > 0) queueMicrotask(() => settled.forEach(([outgoing, result]) => done(outgoing, result)));
  }

  /** Sends to a subject whatever the destination says: what was delayed goes where it was meant to go. */
  forward(outgoing: Outgoing, subject: string, done: PublishDone): void {
    const error = new NotConnectedError(`Not connected to NATS: ${this.connection.reason}`);
    const result = this.channel
      ? this.write(this.channel, { outgoing, subject, delayed: false, room: 0, done })
      : { status: 'failed' as const, error };
    if (result) queueMicrotask(() => done(outgoing, result));
  }

  private send(outgoing: Outgoing, done: PublishDone): PublishResult | undefined {
    if (!this.channel) {
      const error = new NotConnectedError(`Not connected to NATS: ${this.connection.reason}`);
      return { status: 'failed', error };
    }
    const error = tooLarge(outgoing, this.settings.maxBytes);
    if (error) return { status: 'refused', error };
    const delay = outgoing.dueAt === undefined ? 0 : outgoing.dueAt - this.environment.clock.now();
    const subject = subjectOf(outgoing.to, this.names);
    const room = copyRoom(outgoing, this.channel.link.maxPayload);
    const delayed = delay > 0;
    const tooLong = delayedTooLong(delay, MAX_DELAY_MS, 'NATS');
    if (tooLong) return { status: 'refused', error: tooLong };
    if (delayed) this.delaying();
    return this.write(this.channel, { outgoing, subject, delayed, room, done });
  }

  private write(channel: PublishChannel, sending: Sending): PublishResult | undefined {
    if (!this.quarantine.isFor(sending.outgoing.message)) return channel.send(sending);
    this.quarantine.take(sending, tell);
    return undefined;
  }

  private channelOn(link: Link, connection: SupervisedConnection<Link>): PublishChannel {
    return new PublishChannel(link, this.names, this.environment, (text) => connection.redact(text), {
      silent: (silent) => void this.probe(silent, connection),
      bare: ({ message, to }) => this.warnBare(message.id, to.kind === 'dead-letter' ? to.route : ''),
      streamMissing: (outgoing, delayed) => this.streamMissing(outgoing, delayed),
    });
  }

  private warnBare(id: string, route: string): void {
    const message = `Message ${id || 'without an id'} is as large as the server takes: the dead letter «${route}» has its body and headers, but little or nothing of its error`;
    this.environment.onEvent({ type: 'warning', message });
  }

  /** Whoever does not answer a ping either is gone. */
  private async probe(link: Link, connection: SupervisedConnection<Link>): Promise<void> {
    if (this.probing) return;
    this.probing = true;
    const answered = new AbortController();
    const { clock, confirmTimeout } = this.environment;
    link.connection.flush().then(
      () => answered.abort(),
      () => answered.abort(),
    );
    await sleep(clock, confirmTimeout, answered.signal);
    this.probing = false;
    if (!answered.signal.aborted) connection.destroy('the server does not answer', link);
  }

  /** What is missing, where this process may not make it. */
  private async streamMissing(outgoing: Outgoing, delayed: boolean): Promise<MessagingError | undefined> {
    if (this.environment.provision) {
      void this.repair(outgoing);
      return undefined;
    }
    const link = this.connection.current;
    if (!link) return undefined;
    const { to } = outgoing;
    const topic = to.kind === 'route' && to.topic !== undefined ? to.topic : this.names.stream;
    const need = delayed ? this.names.delayed : topic;
    const known = this.looking.get(need);
    if (known) return known;
    const looking = (delayed ? this.delayed.look(link) : this.streams.look(link, topic))
      .then(
        () => undefined,
        (error: unknown) => (error instanceof TopologyMismatchError ? error : undefined),
      )
      .finally(() => this.looking.delete(need));
    this.looking.set(need, looking);
    return looking;
  }

  /** Somebody deleted the stream, or nobody has declared the topic yet: what is sent again then finds it. */
  private async repair({ to }: Outgoing): Promise<void> {
    const link = this.connection.current;
    if (!link || this.repairing) return;
    this.repairing = true;
    try {
      await this.streams.prepare(link);
      if (to.kind === 'route' && to.topic !== undefined) await this.streams.ensureTopic(link, to.topic, true);
    } catch (error) {
      this.environment.onEvent({ type: 'warning', message: this.connection.redact(describe(error)) });
    } finally {
      this.repairing = false;
    }
  }
}

function tell({ outgoing, done }: Sending, result: PublishResult): void {
  done(outgoing, result);
}
