import { accessSync, mkdirSync } from 'node:fs';
import { PublishFailedError, TopologyMismatchError } from 'nestjs-messaging';
import {
  BrokerTransport,
  CONFIRMED,
  delayedTooLong,
  type Dialer,
  type Outgoing,
  type PublishDone,
  type PublishResult,
  type SubscribeHandlers,
  type SubscribeOptions,
  Subscriptions,
  SupervisedConnection,
  tooLarge,
  type Topology,
  type TransportCapabilities,
  type TransportEnvironment,
  type TransportFactory,
  unroutable,
  unsendable,
} from 'nestjs-messaging/transport';
import { fileName, Folders } from './folders.js';
import { FileSession } from './session.js';
import { write } from './stored.js';

/** A broker that is a folder, shared by all processes that can write to it. */
export function files(directory: string, { topic = 'events', maxBytes = 2 ** 24 } = {}): TransportFactory {
  return { system: 'files', topic, create: () => new FilesTransport(directory, topic, maxBytes) };
}

interface Parts {
  readonly environment: TransportEnvironment;
  readonly connection: SupervisedConnection<Folders>;
  readonly subscriptions: Subscriptions<Folders, FileSession>;
}

const MAX_DELAY_MS = 365 * 86_400_000;
let numbers = 0;

class FilesTransport extends BrokerTransport<Parts, Folders> {
  readonly system = 'files';
  readonly capabilities: TransportCapabilities;
  private readonly owner = `${process.pid}-${++numbers}`;

  constructor(
    readonly host: string,
    private readonly topic: string,
    maxBytes: number,
  ) {
    super('Files');
    this.capabilities = {
      durable: true,
      retry: 'copy',
      wildcards: true,
      keyOrder: 'none',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: Infinity,
      maxBytes,
    };
  }

  async declare(topology: Topology): Promise<void> {
    await this.connected().subscriptions.declare(topology);
  }

  native(): string {
    return this.host;
  }

  protected assemble(environment: TransportEnvironment): Parts {
    const { onEvent, provision } = environment;
    const connection = new SupervisedConnection<Folders>(this.dialer(provision), environment, {
      opened: () => onEvent({ type: 'connected' }),
      lost: (reason) => onEvent({ type: 'disconnected', reason }),
      warning: (message, reason) => onEvent({ type: 'warning', message, reason }),
    });
    const make = async (folders: Folders, topology: Topology): Promise<void> => this.make(folders, topology, provision);
    const remove = async (folders: Folders, queue: string): Promise<void> => folders.remove(queue);
    const subscriptions = new Subscriptions<Folders, FileSession>({ connection, environment, closeWithinMs: 1_000, make, remove }); // prettier-ignore
    return { environment, connection, subscriptions };
  }

  protected send({ connection, environment }: Parts, batch: readonly Outgoing[], done: PublishDone): void {
    const results = batch.map((outgoing) => this.store(connection.current, environment.clock.now(), outgoing));
    queueMicrotask(() => batch.forEach((outgoing, at) => done(outgoing, results[at])));
  }

  protected consume({ subscriptions, environment }: Parts, options: SubscribeOptions, handlers: SubscribeHandlers) {
    const { topology, prefetch } = options;
    const { queue } = topology;
    const { clock, provision } = environment;
    return subscriptions.subscribe({
      queue,
      handlers,
      givesBackAtOnce: true,
      ended: () => {},
      open: async (folders) => {
        this.make(folders, topology, provision);
        return new FileSession(folders, this.owner, queue, prefetch, clock, handlers);
      },
    });
  }

  protected async ping({ root }: Folders): Promise<void> {
    accessSync(root);
  }

  protected async end({ subscriptions, connection }: Parts): Promise<void> {
    await subscriptions.close();
    await connection.close();
  }

  private dialer(provision: boolean): Dialer<Folders> {
    const { host, topic } = this;
    return {
      name: `Files in ${host}`,
      async open() {
        if (provision) mkdirSync(host, { recursive: true });
        accessSync(host);
        const folders = new Folders(host, topic);
        folders.recover();
        return folders;
      },
      end: async () => {},
      destroy: (folders, reason, on) => on.ended(folders, reason),
      describe: (error) => (error as Error).message,
      redact: (text) => text,
    };
  }

  private make(folders: Folders, topology: Topology, provision: boolean): void {
    if (provision && topology.provision) return folders.make(topology);
    for (const queue of [topology.queue, ...(topology.deadLetter ? [topology.deadLetter.queue] : [])])
      if (!folders.exists(queue)) throw new TopologyMismatchError(`There is no folder for the queue «${queue}»`);
  }

  private store(folders: Folders | undefined, now: number, outgoing: Outgoing): PublishResult {
    const { to, message, mandatory, dueAt = 0 } = outgoing;
    const refused =
      tooLarge(outgoing, this.capabilities.maxBytes) ??
      delayedTooLong(dueAt - now, MAX_DELAY_MS, 'files') ??
      unsendable(message.headers);
    if (refused) return { status: 'refused', error: refused };
    if (!folders) return { status: 'failed', error: new PublishFailedError('There is no folder to write to') };
    const topic = to.kind === 'route' ? (to.topic ?? this.topic) : undefined;
    try {
      const queues = folders.takers(to);
      if (queues.length === 0 && mandatory) return { status: 'unroutable', error: unroutable(outgoing, this.topic) };
      const number = `${String(++numbers).padStart(9, '0')}-${this.owner}`;
      for (const queue of queues) folders.write(queue, fileName(Math.max(now, dueAt), number), write(message, topic));
      return CONFIRMED;
    } catch (error) {
      return { status: 'failed', error: new PublishFailedError((error as Error).message) };
    }
  }
}
