import { afterAll, describe } from '@jest/globals';
import { announcedNats, type AvailableNats } from './nats/availability.js';
import { NatsServer, type NatsServerOptions } from './nats/server.js';

/** One version of NATS for one describe block. Its servers are stopped after the block. */
export class NatsBroker {
  private readonly servers: NatsServer[] = [];

  constructor(
    private readonly nats: AvailableNats,
    /** Of those that are tested: for what takes long and shows the same with each. */
    readonly newest = true,
  ) {
    afterAll(async () => void (await Promise.all(this.servers.map((server) => server.stop()))));
  }

  get version(): string {
    return this.nats.version;
  }

  /** Servers are of this run: they can be started, and given faults. Else there is only `sharedUrl`. */
  get ours(): boolean {
    return this.nats.program !== undefined;
  }

  /** A server that somebody else runs and others use. */
  get sharedUrl(): string | undefined {
    return this.nats.url;
  }

  /** A server of its own. Takes a moment. */
  async start(options?: NatsServerOptions): Promise<NatsServer> {
    const server = await NatsServer.start(this.version, this.nats.program!, options);
    this.servers.push(server);
    return server;
  }

  /** The shared server, or a new one. */
  async url(): Promise<string> {
    return this.nats.url ?? (await this.start()).url;
  }
}

/** The block once for each version that is there; a skipped one for each that is not. */
export function describeNats(name: string, block: (nats: NatsBroker) => void): void {
  const { available, skipped } = announcedNats();
  for (const nats of available) describe(`${name} (NATS ${nats.version})`, () => block(new NatsBroker(nats)));
  for (const { broker, reason } of skipped) {
    describe.skip(`${name} (${broker}: ${reason.split('\n')[0]})`, () => block(new NatsBroker({ version: 'none' })));
  }
}

/** The same for tests that start, disturb and kill servers. */
export function describeNatsNode(name: string, block: (nats: NatsBroker) => void): void {
  const { available, skipped } = announcedNats();
  for (const nats of available) {
    const title = `${name} (NATS ${nats.version})`;
    const newest = nats === available.at(-1);
    if (nats.program) describe(title, () => block(new NatsBroker(nats, newest)));
    else describe.skip(`${title}: not a server of this run`, () => block(new NatsBroker(nats)));
  }
  for (const { broker, reason } of skipped) {
    describe.skip(`${name} (${broker}: ${reason.split('\n')[0]})`, () => block(new NatsBroker({ version: 'none' })));
  }
}
