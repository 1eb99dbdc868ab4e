import type { Channel } from 'amqplib';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { Topology } from '../../transport/topology.js';
import { reply, replyCode } from './broker-errors.js';
import { topsOf } from './delay-bands.js';
import { delayBands, delayEnds } from './delay-topology.js';
import { type Declared, type Difference, differencesOf } from './differences.js';
import { mismatchText, missingText } from './mismatch-text.js';
import type { Names } from './names.js';
import { exchangeOperations } from './exchanges.js';
import { check, type Operation, perform } from './operations.js';
import type { Settings } from './options.js';
import { topologyOperations } from './topology.js';

/** What an exchange may have that its bindings do not depend on. */
const HARMLESS = 'alternate-exchange';

/** Channels that ask at the same time. */
const SIDE_BY_SIDE = 16;

interface Wanted {
  readonly operation: Declared;
  /** The first that wants it; undefined: the options of the transport do. */
  readonly topology: Topology | undefined;
}

/**
 * Compares what exists with what is wanted, and makes nothing: a subscription that is refused leaves nothing behind. What
 * does not exist is no difference.
 */
export class Comparison {
  /** Exchanges of somebody else, which are used as they are. */
  private readonly theirs = new Set<string>();
  private readonly done = new WeakSet<Topology>();
  /** What was found as it is wanted: subscriptions share exchanges and delay levels. */
  private readonly equal = new Set<string>();

  /** `ask`: on a channel of its own. */
  constructor(
    private readonly names: Names,
    private readonly settings: Settings,
    private readonly ask: (work: (channel: Channel) => Promise<void>) => Promise<void>,
  ) {}

  isTheirs(exchange: string): boolean {
    return this.theirs.has(exchange);
  }

  /** Compares what was not compared yet. @throws TopologyMismatchError with all differences of all of them */
  async compare(topologies: readonly Topology[]): Promise<void> {
    const open = topologies.filter((topology) => !this.done.has(topology));
    const told: string[] = [];
    const left = [...this.wanted(open).entries()];
    await Promise.all(Array.from({ length: Math.min(SIDE_BY_SIDE, left.length) }, () => this.look(left, told)));
    if (told.length > 0) throw new TopologyMismatchError(Object.values(told).join('\n'));
    for (const topology of open) this.done.add(topology);
  }

  private wanted(topologies: readonly Topology[]): readonly Wanted[] {
    const { names, settings } = this;
    const wanted = new Map<string, Wanted>();
    const add = (operation: Operation, topology?: Topology): void => {
      if ((operation.kind === 'queue' || operation.kind === 'exchange') && !wanted.has(keyOf(operation)))
        wanted.set(keyOf(operation), { operation, topology });
    };
    for (const operation of exchangeOperations(settings.exchanges)) add(operation);
    const known = new Set<number>();
    for (const topology of topologies) {
      const own = topologyOperations(topology, names, settings);
      // A thousand subscriptions share a few bands, each of hundreds of operations.
      const tops = topsOf(topology).filter((top) => !known.has(top));
      for (const top of tops) known.add(top);
      for (const operation of [...own, ...delayEnds(names), ...delayBands(tops, names).flat()])
        add(operation, topology);
    }
    return [...wanted.values()].filter(({ operation }) => !this.equal.has(JSON.stringify(operation)));
  }

  /** What is left, as much as possible on one channel: an answer that is an error closes it. */
  private async look(left: [at: number, wanted: Wanted][], told: string[]): Promise<void> {
    while (left.length > 0) {
      let asked: [at: number, wanted: Wanted] | undefined;
      try {
        await this.ask(async (channel) => {
          while ((asked = left.shift())) {
            const { operation } = asked[1];
            await check(channel, operation);
            await perform(channel, operation);
            this.equal.add(JSON.stringify(operation));
          }
        });
      } catch (error) {
        if (!asked) throw error;
        const [at, { operation, topology }] = asked;
        const text = await this.told(operation, error, topology);
        if (text !== undefined) told[at] = text;
      }
    }
  }

  private async told(operation: Declared, error: unknown, topology?: Topology): Promise<string | undefined> {
    if (operation.adopted) return replyCode(error) === reply.notFound ? missingText(operation) : undefined;
    const differences = await this.differences(operation, error);
    return differences.length > 0 ? mismatchText(operation, differences, topology) : undefined;
  }

  private async differences(operation: Declared, error: unknown): Promise<Difference[]> {
    const code = replyCode(error);
    // What does not exist is made, and what may not be looked at is told, by its declaration.
    if (code === reply.notFound || code === reply.accessRefused) return [];
    if (code !== reply.preconditionFailed) throw error;
    const found = await differencesOf(operation, this.ask);
    if (operation.kind === 'queue' || !found.some(({ name }) => name === HARMLESS)) return found;
    this.theirs.add(operation.name);
    return found.filter(({ name }) => name !== HARMLESS);
  }
}

function keyOf({ kind, name }: Declared): string {
  return `${kind} ${name}`;
}
