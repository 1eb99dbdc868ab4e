import type { SQSClient } from '@aws-sdk/client-sqs';
import type { MessagingError } from '../../errors/messaging-error.js';
import { PublishFailedError } from '../../errors/publish-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { Outgoing } from '../../transport/outgoing.js';
import type { Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import { BrokerTransport } from '../kit/broker-transport.js';
import { Subscriptions } from '../kit/subscriptions.js';
import { SupervisedConnection } from '../kit/supervised-connection.js';
import { Claims } from './claims.js';
import { describe } from './errors.js';
import { type Link, SqsDialer } from './link.js';
import type { Settings } from './options.js';
import { MAX_DELAY_MS, Publisher } from './publisher.js';
import { PRESENT_EVERY_MS, Queues } from './queues.js';
import type { QueueRecord } from './routes.js';
import { SqsSession } from './session.js';

/** How much longer than a poll the consumers may take to close. */
const CLOSE_MARGIN_MS = 4_000;

/** The clients, for what this package does not do itself. Undefined until SQS has answered. */
export interface SqsNative {
  readonly client: SQSClient | undefined;
}

interface Parts {
  readonly environment: TransportEnvironment;
  readonly dialer: SqsDialer;
  readonly connection: SupervisedConnection<Link>;
  readonly queues: Queues;
  readonly subscriptions: Subscriptions<Link, SqsSession>;
  readonly sessions: Map<SqsSession, string>;
  readonly publisher: Publisher;
}

/** Queues of Amazon SQS. */
export class SqsTransport extends BrokerTransport<Parts, Link> {
  readonly system = 'sqs';
  readonly capabilities: TransportCapabilities;

  constructor(private readonly settings: Settings) {
    super('SQS');
    this.capabilities = {
      durable: true,
      retry: 'redelivery',
      wildcards: true,
      keyOrder: settings.fifo ? 'key' : 'none',
      // What is delayed waits with its publisher.
      maxDelayMs: settings.fifo || settings.topics === 'sns' ? 0 : MAX_DELAY_MS,
      leaseMs: settings.lease,
      maxBytes: settings.maxBytes,
    };
  }

  get host(): string {
    return this.settings.host;
  }

  async declare(topology: Topology): Promise<void> {
    await this.connected().subscriptions.declare(topology);
  }

  native(): SqsNative {
    return { client: this.assembled?.dialer.clients?.requests };
  }

  protected assemble(environment: TransportEnvironment): Parts {
    const { settings } = this;
    const { clock, service, provision } = environment;
    const sessions = new Map<SqsSession, string>();
    const queues = new Queues({ settings, service, provision, clock });
    const dialer = new SqsDialer({ settings, clock, prepare: (link) => subscriptions.redeclare(link) });
    const connection: SupervisedConnection<Link> = new SupervisedConnection(dialer, environment, {
      opened: () => environment.onEvent({ type: 'connected' }),
      lost: (reason) => {
        publisher.end();
        if (!this.isClosing) environment.onEvent({ type: 'disconnected', reason });
        for (const session of [...sessions.keys()]) session.end(reason);
      },
      warning: (message, reason) =>
        environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) }),
    });
    const stored = (queue: string): void => {
      for (const [session, name] of sessions) if (name === queue) session.wake();
    };
    const publisher = new Publisher(settings, environment, connection, queues, stored);
    const subscriptions: Parts['subscriptions'] = new Subscriptions({
      connection,
      environment,
      closeWithinMs: settings.waitTime + CLOSE_MARGIN_MS,
      make: (link, topology) => this.ours(() => queues.declare(link, topology)),
      remove: (link, queue) => queues.remove(link, queue),
    });
    return { environment, dialer, connection, queues, subscriptions, sessions, publisher };
  }

  protected send({ publisher }: Parts, batch: readonly Outgoing[], done: PublishDone): void {
    publisher.publish(batch, done);
  }

  protected consume(
    { subscriptions, connection, queues, sessions }: Parts,
    { topology, prefetch }: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription> {
    const { queue } = topology;
    const { declared } = subscriptions;
    declared.set(queue, declared.get(queue) ?? topology);
    return subscriptions.subscribe({
      queue,
      handlers,
      givesBackAtOnce: this.settings.fifo,
      ended: () => {},
      open: async (link, previous) => {
        const record = await this.ours(() => queues.declare(link, declared.get(queue) ?? topology));
        if (connection.current !== link) return undefined;
        const session = this.session(link, record, Math.max(1, prefetch), handlers);
        sessions.set(session, queue);
        void session.ended.then(() => sessions.delete(session));
        if (previous) await session.recover(previous);
        return session;
      },
    });
  }

  protected ping(link: Link): Promise<unknown> {
    return this.connected().dialer.ping(link);
  }

  protected async end({ subscriptions, publisher, connection, dialer }: Parts): Promise<void> {
    await subscriptions.close();
    await connection.close();
    publisher.end();
    dialer.close();
  }

  private session(link: Link, { queue, url }: QueueRecord, prefetch: number, handlers: SubscribeHandlers): SqsSession {
    const { lease, waitTime, topic, fifo } = this.settings;
    const { connection, environment, queues, publisher } = this.connected();
    return new SqsSession(new Claims(link, url, lease / 1_000, waitTime / 1_000), {
      queue,
      topic,
      fifo,
      prefetch,
      leaseMs: lease,
      waits: waitTime > 0,
      clock: environment.clock,
      handlers,
      describe: (error) => connection.describe(error),
      present: (by, isThere) => (isThere ? queues.present(link, url, by) : queues.absent(link, url, by)),
      presentEveryMs: PRESENT_EVERY_MS,
      publish: (to) => new Promise((resolve) => publisher.publish([to], (_, result) => resolve(result))),
    });
  }

  /** An error of the client becomes ours, without credentials. */
  private async ours<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (typeof (error as MessagingError).retryable === 'boolean') throw error;
      throw new PublishFailedError(`SQS did not do it: ${this.settings.redact(describe(error))}`);
    }
  }
}
