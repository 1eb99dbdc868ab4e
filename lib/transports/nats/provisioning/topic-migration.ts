import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import type { MigrationStep, QueueMigration } from '../../../transport/provisioning.js';
import type { Topology } from '../../../transport/topology.js';
import { isUnattended } from '../topology/attendance.js';
import { isUnfinished, type QueueRecord } from '../topology/binding.js';
import { depthOf } from '../topology/depth.js';
import type { Link } from '../connection/link.js';
import type { Names } from '../names.js';
import type { Clock } from '../../../clock/clock.js';
import type { Queues } from '../topology/queues.js';
import type { Streams } from '../topology/streams.js';

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
 * former version has handled that. Before nothing is unbound: what publishes by the old topic may not be known here.
 */
export class TopicMigration implements QueueMigration {
  readonly outline: readonly string[];

  constructor(
    private readonly topology: Topology,
    private readonly context: MigrationContext,
  ) {
    const { queue } = topology;
    this.outline = [
      `route nothing more to «${queue}» by its former topic, once nothing waits in it and nobody consumes it`,
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
      const routing = { what: this.outline[1], act: () => this.route(wanted, record) };
      if (record.topic === wanted.topic) return isUnfinished(record) ? routing : undefined;
      const open = Object.keys(record.patterns).filter((pattern) => record.patterns[pattern] === 0);
      const waiting = await depthOf(link, found, names);
      const { info } = found;
      if (waiting > 0 || !(await isUnattended(link, info, clock)))
        throw new TopologyMismatchError(
          `${waiting} messages of «${record.topic}» wait in «${queue}», and ${info.num_ack_pending} are being handled: let the former version handle them, end it, and call this again. ${
            open.length > 0
              ? 'Nothing was changed'
              : `Nothing is routed to «${queue}» now, until this was called again with success, or the former version has started`
          }`,
        );
      if (open.length > 0) return { what: this.outline[0], act: () => this.unbind(queue, open) };
      return routing;
    });
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  private async unbind(queue: string, patterns: readonly string[]): Promise<void> {
    await this.context.ask((link) => this.context.queues.unbind(link, { queue, patterns, provision: true }));
  }

  private async route(wanted: QueueRecord, found: QueueRecord): Promise<void> {
    const { routes, since, service = wanted.service } = found;
    const { streams, queues, ask } = this.context;
    streams.want([wanted.topic]);
    await ask(async (link) => {
      await streams.provide(link);
      await queues.bind(link, found, { ...wanted, routes, since, service });
    });
  }
}
