import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { TransportDescription } from '../../transport/description.js';
import type { QueueOperations } from '../../transport/queue-operations.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { type Attachment, type LinkParts, SingleConnectionTransport } from '../kit/single-connection-transport.js';
import { BoundQueues } from './topology/bound-queues.js';
import { QueueBrowser } from './consuming/browser.js';
import { DelayedStream, FORWARDER } from './topology/delayed-stream.js';
import { depthOf } from './topology/depth.js';
import { describeNats } from './description.js';
import { NatsDialer } from './connection/dialer.js';
import { declareForwarder, FORWARDER_ACK_WAIT_MS, NatsForwarder } from './publishing/forwarder.js';
import { type Link, openLink } from './connection/link.js';
import { namesOf, type Names, tokenOf } from './names.js';
import type { Settings } from './options.js';
import { loadNats } from './connection/peers.js';
import { MAX_DELAY_MS, Publisher } from './publishing/publisher.js';
import { NatsProvisioning } from './provisioning/provisioning.js';
import { PullSession } from './consuming/pull-session.js';
import { listQueues } from './topology/queue-list.js';
import { Queues } from './topology/queues.js';
import { NatsReplies } from './consuming/replies.js';
import { Streams } from './topology/streams.js';

const FORWARDER_PREFETCH = 100;

/** The client's own objects, for what this package does not do itself. Undefined while there is no connection. */
export interface NatsNative {
  readonly connection: NatsConnection | undefined;
  readonly manager: JetStreamManager | undefined;
}

interface Own {
  readonly streams: Streams;
  readonly delayed: DelayedStream;
  readonly queues: BoundQueues;
  readonly publisher: Publisher;
  readonly forwarder: NatsForwarder;
}

type Parts = Own & LinkParts<Link, PullSession, string>;

/** NATS JetStream over one supervised connection. */
export class NatsTransport extends SingleConnectionTransport<Own, Link, PullSession, string> {
  readonly system = 'nats';
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations;
  readonly provisioning: NatsProvisioning;
  override readonly replies: NatsReplies;
  protected override readonly givesBackAtOnce = false;
  private readonly names: Names;

  constructor(private readonly settings: Settings) {
    super('NATS');
    this.names = namesOf(settings.stream);
    this.replies = new NatsReplies((text) => settings.address.redact(text));
    this.capabilities = {
      durable: settings.storage === 'file',
      retry: 'copy',
      wildcards: true,
      adopts: true,
      keyOrder: 'none',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: settings.ackWait,
      maxBytes: settings.maxBytes,
    };
    this.queues = {
      depth: (queue) => this.depth(queue),
      browse: (queue, rest) => this.browse(queue, rest as QueueBrowser | undefined),
      list: (scope) => this.ask((link) => listQueues(link, scope, this.names)),
      unbind: (topology) => this.unbind(topology),
      compare: (topologies) => this.compare(topologies),
      undeliverable: () => this.assembled?.forwarder.undeliverable.count ?? 0,
    };
    this.provisioning = new NatsProvisioning(() => {
      const { names } = this;
      const { environment, delayed, warn } = this.connected();
      const { service, clock } = environment;
      const redact = (text: string): string => settings.address.redact(text);
      // These make things, whatever the application may do.
      const streams = new Streams(names, settings, true, clock, redact, warn);
      const queues = new Queues(names, settings, streams, delayed, true, service, clock, redact, warn);
      return { names, settings, service, clock, queues, streams, redact, ask: (question) => this.ask(question) };
    });
  }

  get description(): TransportDescription {
    return describeNats(this.names);
  }

  get host(): string {
    return this.settings.address.host;
  }

  native(): NatsNative {
    const link = this.assembled?.connection.current;
    return { connection: link?.connection, manager: link?.manager };
  }

  protected dialer({ service, clock }: TransportEnvironment): NatsDialer<Link> {
    return new NatsDialer(this.settings.address, service, clock, async (opened) => {
      const link = await openLink(opened, await loadNats());
      const { streams, subscriptions } = this.connected();
      await streams.prepare(link);
      await subscriptions.redeclare(link);
      return link;
    });
  }

  protected build({ environment, connection, warn }: LinkParts<Link, PullSession, string>): Own {
    const { settings, names } = this;
    const { provision, service, clock } = environment;
    const redact = (text: string): string => settings.address.redact(text);
    const streams = new Streams(names, settings, provision, clock, redact, warn);
    const delayed = new DelayedStream(names, redact);
    const declared = new Queues(names, settings, streams, delayed, provision, service, clock, redact, warn);
    const queues = new BoundQueues(declared, names, service, clock);
    const publisher = new Publisher(names, settings, environment, connection, streams, delayed, () => this.forward());
    return { streams, delayed, queues, publisher, forwarder: new NatsForwarder(publisher, environment) };
  }

  protected attach({ link, made, queue, prefetch, handlers }: Attachment<Link, string>): PullSession {
    const { queues, environment } = this.connected();
    return new PullSession(link, {
      queue,
      stream: this.names.stream,
      consumer: tokenOf(queue),
      prefetch,
      ackWait: this.settings.ackWait,
      clock: environment.clock,
      handlers,
      created: made,
      binding: () => queues.binding(queue),
    });
  }

  protected override beginForwarding({ subscriptions, delayed, forwarder, environment }: Parts): void {
    const { names, settings } = this;
    const declare = async (link: Link): Promise<string> => {
      if (!environment.provision) await delayed.look(link);
      return declareForwarder(link, names, (text) => settings.address.redact(text));
    };
    const attach = (link: Link, created: string): PullSession =>
      new PullSession(link, {
        queue: names.delayed,
        stream: names.delayed,
        consumer: FORWARDER,
        prefetch: FORWARDER_PREFETCH,
        ackWait: FORWARDER_ACK_WAIT_MS,
        clock: environment.clock,
        handlers: forwarder,
        created,
        binding: () => undefined,
      });
    subscriptions.startOnce(() => ({
      queue: names.delayed,
      handlers: forwarder,
      ended: () => {},
      open: subscriptions.opening(declare, attach),
    }));
  }

  protected ping({ connection }: Link): Promise<void> {
    return connection.flush();
  }

  private async depth(queue: string): Promise<number | undefined> {
    const { queues } = this.connected();
    return this.ask(async (link) => {
      const found = await queues.find(link, queue);
      return found && depthOf(link, found, this.names);
    });
  }

  private browse(queue: string, rest: QueueBrowser | undefined): Promise<QueueBrowser> {
    const { queues, connection, subscriptions } = this.connected();
    const { names } = this;
    const redact = (text: string): string => connection.redact(text);
    const warn = (message: string): void => subscriptions.warn(message);
    return this.ask((link) => QueueBrowser.open(queue, { link, names, queues, redact, warn }, rest));
  }
}
