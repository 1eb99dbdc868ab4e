import { accessSync, mkdirSync } from 'node:fs';
import { PublishFailedError, TopologyMismatchError } from 'nestjs-messaging';
import {
  type Attachment,
  CONFIRMED,
  delayedTooLong,
  type Dialer,
  type LinkParts,
  type Outgoing,
  type OwnParts,
  type PublishResult,
  SingleConnectionTransport,
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

const MAX_DELAY_MS = 365 * 86_400_000;
let numbers = 0;

class FilesTransport extends SingleConnectionTransport<OwnParts<Folders, void>, Folders, FileSession, void> {
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

  native(): string {
    return this.host;
  }

  protected build({ environment, connection }: LinkParts<Folders, FileSession, void>): OwnParts<Folders, void> {
    return {
      publisher: {
        publish: (batch, done) => {
          const results = batch.map((one) => this.store(connection.current, environment.clock.now(), one));
          queueMicrotask(() => batch.forEach((one, at) => done(one, results[at])));
        },
        end() {},
        async close() {},
      },
      queues: {
        declare: async (folders, topology) => this.make(folders, topology, environment.provision),
        remove: async (folders, queue) => folders.remove(queue),
        async unbind() {},
        async compare() {},
      },
    };
  }

  protected attach({ link, queue, prefetch, handlers }: Attachment<Folders, void>): FileSession {
    return new FileSession(link, this.owner, queue, prefetch, this.connected().environment.clock, handlers);
  }

  protected async ping({ root }: Folders): Promise<void> {
    accessSync(root);
  }

  protected dialer({ provision }: TransportEnvironment): Dialer<Folders> {
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
