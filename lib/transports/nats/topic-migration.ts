import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { MigrationStep, QueueMigration } from '../../transport/provisioning.js';
import type { Topology } from '../../transport/topology.js';
import { isUnattended } from './attendance.js';
import type { QueueRecord } from './binding.js';
import { depthOf } from './depth.js';
import type { Link } from './link.js';
import type { Names } from './names.js';
import type { Clock } from '../../clock/clock.js';
import type { Queues } from './queues.js';
import type { Streams } from './streams.js';

export interface MigrationContext {
  readonly names: Names;
  readonly clock: Clock;
  /** Both make what they are asked for. */
  readonly queues: Queues;
  readonly streams: Streams;
  readonly ask: <T>(question: (link: Link) => Promise<T>) => Promise<T>;
}

/**
 * A queue of another topic. What waits was routed by the old one and is told by it, so that the topic changes once the
 * former version has handled that: until then nothing new of the old topic comes.
 */
export class TopicMigration implements QueueMigration {
  readonly outline: readonly string[];
  private unbound = false;

  constructor(
    private readonly topology: Topology,
    private readonly context: MigrationContext,
  ) {
    const { queue } = topology;
    this.outline = [
      `route nothing more to «${queue}» by its former topic`,
      'wait until what is in it was handled by the former version',
      `route to «${queue}» by its topic`,
    ];
  }

  /** Two at a time do the same. */
  begin(): Promise<void> {
    return Promise.resolve();
  }

  next(): Promise<MigrationStep | undefined> {
    const { queues, names, ask, clock } = this.context;
    const wanted = queues.recordsOf(this.topology).at(-1)!;
    const { queue } = wanted;
    return ask(async (link) => {
      const found = await queues.find(link, queue);
      if (!found) throw new TopologyMismatchError(`There is no queue «${queue}»: topology apply makes it`);
      const { record } = found;
      if (record.topic === wanted.topic) return undefined;
      if (!this.unbound) return { what: this.outline[0], act: () => this.unbind(record) };
      const waiting = await depthOf(link, found, names);
      const { info } = found;
      if (waiting > 0 || !(await isUnattended(link, info, clock)))
        throw new TopologyMismatchError(
          `${waiting} messages of «${record.topic}» wait in «${queue}», and ${info.num_ack_pending} are being handled: let the former version handle them, end it, and call this again`,
        );
      return { what: this.outline[2], act: () => this.route(wanted, record) };
    });
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  private async unbind({ queue, patterns }: QueueRecord): Promise<void> {
    const open = Object.keys(patterns).filter((pattern) => patterns[pattern] === 0);
    await this.context.ask((link) => this.context.queues.unbind(link, { queue, patterns: open, provision: true }));
    this.unbound = true;
  }

  private async route(wanted: QueueRecord, { routes, since, service = wanted.service }: QueueRecord): Promise<void> {
    const { streams, queues, ask } = this.context;
    streams.want([wanted.topic]);
    await ask(async (link) => {
      await streams.provide(link);
      await queues.update(link, { ...wanted, routes, since, service });
    });
  }
}
