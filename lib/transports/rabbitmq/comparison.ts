import type { Channel } from 'amqplib';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { Topology } from '../../transport/topology.js';
import { reply, replyCode } from './broker-errors.js';
import { delayEnds } from './delay-topology.js';
import { type Declared, type Difference, differencesOf } from './differences.js';
import { mismatchText } from './mismatch-text.js';
import type { Names } from './names.js';
import { check } from './operations.js';
import type { Settings } from './options.js';
import { topologyOperations } from './topology.js';

/** What an exchange may have that its bindings do not depend on. */
const HARMLESS = 'alternate-exchange';

/**
 * Compares what exists with what is wanted, and makes nothing: a subscription that is refused leaves nothing behind. What
 * does not exist is no difference.
 */
export class Comparison {
  /** Exchanges of somebody else, which are used as they are. */
  private readonly theirs = new Set<string>();
  private readonly done = new WeakSet<Topology>();

  /** `ask`: on a channel of its own. */
  constructor(
    private readonly names: Names,
    private readonly settings: Settings,
    private readonly ask: (work: (channel: Channel) => Promise<void>) => Promise<void>,
  ) {}

  isTheirs(exchange: string): boolean {
    return this.theirs.has(exchange);
  }

  /** Those that were not compared yet. @throws TopologyMismatchError with all differences of all of them */
  async compare(topologies: readonly Topology[]): Promise<void> {
    const open = topologies.filter((topology) => !this.done.has(topology));
    if (open.length === 0) return;
    const wanted = new Map<string, readonly [Declared, Topology]>();
    for (const topology of open)
      for (const operation of [...topologyOperations(topology, this.names, this.settings), ...delayEnds(this.names)])
        if ((operation.kind === 'queue' || operation.kind === 'exchange') && !wanted.has(keyOf(operation)))
          wanted.set(keyOf(operation), [operation, topology]);
    const texts = await Promise.all(
      [...wanted.values()].map(async ([operation, topology]) => {
        const differences = await this.differences(operation);
        return differences.length === 0 ? [] : [mismatchText(operation, differences, topology)];
      }),
    );
    const told = texts.flat();
    if (told.length > 0) throw new TopologyMismatchError(told.join('\n'));
    for (const topology of open) this.done.add(topology);
  }

  private async differences(operation: Declared): Promise<Difference[]> {
    try {
      await this.ask((channel) => check(channel, operation));
    } catch (error) {
      // What may not be looked at is told by its declaration.
      if (replyCode(error) === reply.notFound || replyCode(error) === reply.accessRefused) return [];
      throw error;
    }
    try {
      const found = await differencesOf(operation, this.ask);
      if (operation.kind === 'queue' || !found.some(({ name }) => name === HARMLESS)) return found;
      this.theirs.add(operation.name);
      return found.filter(({ name }) => name !== HARMLESS);
    } catch (error) {
      if (replyCode(error) === reply.accessRefused) return [];
      throw error;
    }
  }
}

function keyOf({ kind, name }: Declared): string {
  return `${kind} ${name}`;
}
