import type { Msg } from '@nats-io/transport-node';
import { randomUUID } from 'node:crypto';
import type { CancelTimer, Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { SteadyTime } from '../clock/steady-time.js';
import { DeadLetterWatch } from '../dead-letter/dead-letter-watch.js';
import { DurableQueue } from '../durable-queue/durable-queue.js';
import { NotConnectedError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import { type Log, redactedLog } from '../events/log.js';
import { Egress } from './egress.js';
import { Ingress, isStatsRequest } from './ingress.js';
import { assertOwnDirectory } from './data-directory.js';
import { LimitedLog } from './limited-log.js';
import { type RequeueLink, supervisedLink } from './link.js';
import { type RequeueOptions, type RequeueSettings, resolveRequeueOptions } from './requeue-options.js';
import { RequeuePlace } from './requeue-place.js';
import { requeueDestination } from './requeue-destination.js';
import type { QueueReport, RequeueHealth, RequeueStats } from './requeue-report.js';
import { RequeueCounters } from './statistics.js';
import type { SupervisedConnection } from '../transports/kit/supervised-connection.js';

/** So long a start waits until the server has seen the subscriptions. */
const LISTEN_TIMEOUT_MS = 5_000;
/** Between two looks at dead letters. */
const WATCH_INTERVAL_MS = 60_000;

/** The requeue service: takes messages, keeps them on the disk, and sends them when they are due. */
export class RequeueServer {
  readonly settings: RequeueSettings;
  /** Resolves when the service has ended. */
  readonly closed: Promise<void>;
  private readonly instance = randomUUID();
  private readonly counters = new RequeueCounters();
  private readonly time: SteadyTime;
  private readonly queue: DurableQueue;
  private readonly connection: SupervisedConnection<RequeueLink>;
  private readonly ingress: Ingress;
  private readonly egress: Egress;
  private readonly log: Log;
  private readonly watch: DeadLetterWatch | undefined;
  private readonly failures: LimitedLog;
  private readonly refusals: LimitedLog;
  private readonly startedAt: number;
  private state: RequeueHealth['connection']['state'] = 'connecting';
  private stateSince: number;
  private reason: string | undefined;
  private storeWasHealthy = true;
  private cancelLook: CancelTimer | undefined;
  private stopObserving: (() => void) | undefined;
  private stopping: Promise<void> | undefined;
  private listening: Promise<void> = Promise.resolve();
  private resolveClosed!: () => void;

  /** @throws InvalidOptionError */
  constructor(options: RequeueOptions, log: Log) {
    const settings = (this.settings = resolveRequeueOptions(options));
    const { clock, callbacks } = settings;
    this.log = redactedLog(log);
    this.failures = new LimitedLog(clock, (line) => this.log.warn(line));
    this.refusals = new LimitedLog(clock, (line) => this.log.warn(line));
    this.closed = new Promise((resolve) => (this.resolveClosed = resolve));
    this.time = new SteadyTime(clock);
    this.startedAt = this.stateSince = clock.now();
    this.connection = supervisedLink(settings, {
      opened: (link) => this.up(link),
      lost: (reason) => this.lost(reason),
      warning: (message) => this.connectionFailed(new NotConnectedError(message)),
    });
    this.queue = new DurableQueue(
      {
        directory: settings.dataDir,
        directoryOption: 'dataDir',
        neededBy: 'The requeue service',
        adoptInterval: settings.interval,
        destination: requeueDestination(settings.hosts),
      },
      clock,
      {
        log: this.log,
        adopted: (count) => {
          this.egress.renew();
          this.log.log(`${count} messages of a service that has ended were taken over`);
          this.call(() => callbacks.onAdopted?.(count));
        },
        failed: (_, error) => this.call(() => callbacks.onWriteError?.(error)),
      },
    );
    const { queue, counters, time } = this;
    this.watch = DeadLetterWatch.of({
      ...{ clock, log: this.log, limits: settings.deadLetters, alerts: settings.alerts, interval: WATCH_INTERVAL_MS },
      places: () => queue.queues.map((name) => new RequeuePlace(name, queue)),
      expired: () => undefined,
      alerted: () => undefined,
      failed: () => undefined,
    });
    this.egress = new Egress({ queue, counters, clock, time }, settings);
    this.ingress = new Ingress(
      {
        queue,
        counters,
        time,
        stored: (entry) => this.egress.stored(entry),
        refused: (error, subject) =>
          this.refusals.write(`A message on «${subject}» was not taken (${error.refusal}): ${error.message}`),
        forbidden: (error) => this.connectionFailed(error),
      },
      { ...settings, subject: settings.ingress, statsSubject: this.statsSubject },
    );
  }

  /** An empty request on it is answered with `stats()`. */
  get statsSubject(): string {
    const { ingress, name } = this.settings;
    return `${ingress.prefix || `${name}.`}stats`;
  }

  /**
   * Opens the store and connects; resolves without a connection when the server cannot be reached, and goes on trying.
   * @throws MissingPeerError; InvalidOptionError for a folder that others can write to; RetryQueueStoreError when it cannot
   *   be made; BrokerConfigurationError when the server refuses the credentials
   */
  async start(): Promise<void> {
    try {
      await assertOwnDirectory(this.settings.dataDir);
      await this.queue.open();
      this.stopObserving = await this.settings.telemetry?.observeRequeue(() => this.reports());
      this.look();
      this.watch?.start();
      await this.connection.start();
      await within(this.settings.clock, LISTEN_TIMEOUT_MS, this.listening);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /**
   * Receives nothing more, writes and answers what was received, waits for the replies to what was sent (at most
   * `shutdownTimeout`), and leaves the rest in the store.
   */
  stop(): Promise<void> {
    return (this.stopping ??= this.shutDown());
  }

  /** What the service knows; costs no message to the server. */
  health(): RequeueHealth {
    const { queue, state } = this;
    const fault = this.ingress.fault ?? this.egress.fault;
    const degraded =
      this.watch?.isAlerted || !queue.healthy || fault !== undefined || queue.others.some(({ running }) => !running);
    const reason = fault ?? (state === 'connected' ? undefined : this.reason);
    return {
      status: state !== 'connected' ? 'down' : degraded ? 'degraded' : 'up',
      connection: {
        state,
        since: new Date(this.stateSince).toISOString(),
        server: this.connection.current?.connection.getServer() ?? this.settings.address.host,
        ...(reason === undefined ? {} : { reason }),
      },
      store: {
        healthy: queue.healthy,
        depth: queue.depth,
        deadLetters: this.deadLetters,
        ...this.watch?.report(),
        adopted: queue.adopted,
        quarantined: queue.quarantined,
        ...(queue.others.length > 0 && { others: queue.others }),
      },
      inFlight: this.egress.inFlight,
      queues: this.reports(),
    };
  }

  /** Counts of each queue, since the start, and what it holds now. */
  stats(): RequeueStats {
    const { queue, counters, settings } = this;
    return {
      name: settings.name,
      instance: this.instance,
      since: new Date(this.startedAt).toISOString(),
      status: this.health().status,
      depth: queue.depth,
      deadLetters: this.deadLetters,
      inFlight: this.egress.inFlight,
      adopted: queue.adopted,
      refused: { ...counters.refused },
      lateReplies: counters.lateReplies,
      queues: this.reports(),
      moreQueues: 0,
    };
  }

  private async shutDown(): Promise<void> {
    const { clock, shutdownTimeout, callbacks } = this.settings;
    const deadline = clock.monotonic() + shutdownTimeout;
    const waitFor = (work: Promise<unknown>): Promise<void> =>
      within(clock, Math.max(0, deadline - clock.monotonic()), work);
    const sent = this.egress.stop();
    if (this.connection.current) await waitFor(this.ingress.drain());
    // Answers those that were received.
    this.queue.commit();
    if (this.connection.current) await waitFor(sent);
    const left = this.egress.inFlight;
    if (left > 0)
      this.log.warn(`${left} messages were sent and not answered; they stay in the store and are sent again`);
    this.cancelLook?.();
    await this.watch?.stop();
    this.stopObserving?.();
    this.egress.close();
    await this.connection.close();
    this.queue.close();
    this.enter('closed');
    this.resolveClosed();
    this.call(() => callbacks.onClosed?.());
  }

  private up(link: RequeueLink): void {
    const { connection } = link;
    this.enter('connected');
    this.reason = undefined;
    this.log.log(`Connected to NATS at ${connection.getServer()}`);
    if (this.stopping) return;
    this.ingress.up(link);
    connection.subscribe(this.statsSubject, {
      callback: (error, message) => (error ? this.connectionFailed(error) : this.answerStats(message)),
    });
    this.egress.up(link);
    this.listening = this.listens(link);
  }

  /** The server has seen the subscriptions. */
  private async listens({ connection }: RequeueLink): Promise<void> {
    try {
      await connection.flush();
    } catch {
      // The connection is lost again, which is told elsewhere.
      return;
    }
    const { ingress, group } = this.settings;
    if (!this.ingress.fault) this.log.log(`Listening on ${ingress.pattern} as ${group}`);
  }

  private lost(reason: string): void {
    const at = `NATS at ${this.settings.address.host}`;
    const what = this.state === 'connected' ? `The connection to ${at} is lost` : `${at} cannot be reached`;
    this.enter('connecting');
    const { ending, isSuspicious: suspicious } = this.connection;
    this.egress.down({ reason, refused: ending === 'refused', suspicious });
    this.connectionFailed(new NotConnectedError(`${what}: ${reason}; connecting again`));
  }

  private connectionFailed(error: Error): void {
    this.reason = errorMessage(error);
    this.failures.write(this.reason);
    this.call(() => this.settings.callbacks.onConnectionError?.(error));
  }

  private answerStats(message: Msg): void {
    if (!isStatsRequest(message)) return;
    const most = this.connection.current?.connection.info?.max_payload ?? 2 ** 20;
    let stats = this.stats();
    let text = JSON.stringify(stats);
    while (Buffer.byteLength(text) > most && stats.queues.length > 0) {
      const queues = stats.queues.slice(0, Math.floor(stats.queues.length / 2));
      stats = { ...stats, queues, moreQueues: stats.moreQueues + stats.queues.length - queues.length };
      text = JSON.stringify(stats);
    }
    try {
      message.respond(text);
    } catch {
      // The connection is gone, and so is who asked.
    }
  }

  /** What the store could not give while its disk failed is looked at again when it works. */
  private look(): void {
    const { healthy } = this.queue;
    if (healthy && !this.storeWasHealthy) this.egress.renew();
    this.storeWasHealthy = healthy;
    this.cancelLook = this.settings.clock.after(this.settings.interval, () => this.look(), { background: true });
  }

  private reports(): QueueReport[] {
    const { queue, counters, egress } = this;
    const now = this.time.now();
    const names = new Set([...queue.queues, ...counters.names]);
    const reports = [...names].map((name): QueueReport => {
      const { depth, bytes, dead } = queue.totals(name);
      const oldest = queue.oldestQueuedAt(name, now);
      return {
        queue: name,
        depth,
        bytes,
        deadLetters: dead,
        inFlight: egress.inFlightOf(name),
        oldestAgeMs: oldest === undefined ? 0 : Math.max(0, now - oldest),
        ...counters.peek(name),
      };
    });
    return reports.sort((a, b) => b.depth - a.depth);
  }

  private get deadLetters(): number {
    return this.queue.queues.reduce((sum, name) => sum + this.queue.totals(name).dead, 0);
  }

  private enter(state: RequeueHealth['connection']['state']): void {
    this.state = state;
    this.stateSince = this.settings.clock.now();
  }

  /** A callback of the application must not break the service. */
  private call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.log.error(`A callback failed: ${errorMessage(error)}`);
    }
  }
}

/** Resolves with `work`, or after `ms` milliseconds. */
async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work, sleep(clock, ms, done.signal)]);
  done.abort();
}
