import { randomUUID } from 'node:crypto';
import { afterAll, describe } from '@jest/globals';
import { announcedRabbit, type AvailableRabbit } from './rabbitmq/availability.js';
import { createVhostByHttp } from './rabbitmq/external.js';
import type { RabbitHandle } from './rabbitmq/handle.js';
import type { InstalledRabbit } from './rabbitmq/install.js';
import { RabbitNode, type RabbitNodeOptions } from './rabbitmq/node.js';

/** A broker that all test files share: a fresh vhost each, and no fault that others would notice. */
export class RabbitBroker {
  readonly version: string;
  /** Where it is a node of this run. */
  readonly node?: RabbitHandle;
  private started?: Promise<void>;
  private vhosts: string[] = [];

  constructor(private readonly rabbit: AvailableRabbit) {
    this.version = rabbit.version;
    this.node = rabbit.node && RabbitNode.attach(rabbit.node);
  }

  ready(): Promise<void> {
    return (this.started ??= this.node?.ready() ?? Promise.resolve());
  }

  /** Whether freshVhostUrl() is fresh. Not on a broker of TEST_RABBITMQ_URL without its management plugin. */
  get isolated(): boolean {
    return this.node !== undefined || this.rabbit.managementUrl !== undefined;
  }

  /** The URL of a new, empty vhost. */
  async freshVhostUrl(): Promise<string> {
    const { url, managementUrl } = this.rabbit;
    await this.ready();
    if (this.node) {
      const vhost = await this.node.createVhost();
      this.vhosts.push(vhost);
      return this.node.url(vhost);
    }
    if (managementUrl === undefined) return url;
    const vhost = `test-${randomUUID()}`;
    await createVhostByHttp(managementUrl, vhost);
    return Object.assign(new URL(url), { pathname: `/${vhost}` }).href;
  }

  /** A node with thousands of quorum queues is slow for whoever comes later. The node does it by itself, in its own time. */
  async removeVhosts(): Promise<void> {
    const vhosts = this.vhosts.splice(0);
    if (vhosts.length > 0) await this.node?.deleteVhosts(vhosts);
  }
}

/** Whether a version is this one (`4.3`) or a later one. */
export function isSince(version: string, first: string): boolean {
  return version.localeCompare(first, 'en', { numeric: true }) >= 0;
}

/** Starts brokers of one version for one describe block: to be killed, blocked, cut off. */
export interface RabbitStarter {
  version: string;
  /** Of those that are tested: for what takes long and shows the same with each. */
  newest: boolean;
  /** A node of its own, stopped after the block. Takes 3 to 6 s. */
  start(options?: RabbitNodeOptions): Promise<RabbitNode>;
}

export function rabbitBrokers(): RabbitBroker[] {
  return announcedRabbit().available.map((rabbit) => new RabbitBroker(rabbit));
}

/** The block once for each version that is there; a skipped one for each that is not. */
export function describeRabbit(name: string, block: (rabbit: RabbitBroker) => void): void {
  for (const rabbit of rabbitBrokers()) {
    describe(`${name} (RabbitMQ ${rabbit.version})`, () => {
      block(rabbit);
      afterAll(() => rabbit.removeVhosts());
    });
  }
  for (const { broker, reason } of announcedRabbit().skipped) {
    describe.skip(titleOf(name, broker, reason), () => block(new RabbitBroker({ version: 'none', url: 'amqp:' })));
  }
}

/** The same for tests that disturb the broker: they start a node of their own. */
export function describeRabbitNode(name: string, block: (rabbit: RabbitStarter) => void): void {
  const { available, skipped } = announcedRabbit();
  for (const { version, node } of available) {
    const title = `${name} (RabbitMQ ${version})`;
    const newest = version === available.at(-1)?.version;
    if (node) describe(title, () => block(starter(node, newest)));
    else describe.skip(`${title}: not a node of this run`, () => block(starter({ version, root: '' }, newest)));
  }
  for (const { broker, reason } of skipped) {
    describe.skip(titleOf(name, broker, reason), () => block(starter({ version: 'none', root: '' }, true)));
  }
}

function titleOf(name: string, broker: string, reason: string): string {
  return `${name} (${broker}: ${reason.split('\n')[0]})`;
}

function starter({ version, root }: InstalledRabbit, newest: boolean): RabbitStarter {
  const nodes: RabbitNode[] = [];
  afterAll(async () => void (await Promise.all(nodes.map((node) => node.stop()))));
  return {
    version,
    newest,
    async start(options) {
      const node = await RabbitNode.start({ version, root }, options);
      nodes.push(node);
      return node;
    },
  };
}
