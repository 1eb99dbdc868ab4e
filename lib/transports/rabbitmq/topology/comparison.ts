import type { Channel } from 'amqplib';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import type { Topology } from '../../../transport/topology.js';
import { reply, replyCode } from '../connection/broker-errors.js';
import { type Declared, type Difference, differencesOf } from './differences.js';
import { mismatchText, missingText } from './mismatch-text.js';
import type { Names } from '../names.js';
import { check, perform } from './operations.js';
import type { Settings } from '../options.js';
import { type Wanted, wantedOf } from './wanted.js';

/** What an exchange may have that its bindings do not depend on. */
const HARMLESS = 'alternate-exchange';

/** Channels that ask at the same time. */
const SIDE_BY_SIDE = 16;

/** What the broker has of it; `unknown`: this user may not look. */
export interface Compared {
  readonly wanted: Wanted<Declared>;
  readonly state: 'there' | 'missing' | 'unknown';
  readonly differences: readonly Difference[];
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

  /** `onChannel`: on one of its own. */
  constructor(
    private readonly names: Names,
    private readonly settings: Settings,
    private readonly onChannel: (work: (channel: Channel) => Promise<void>) => Promise<void>,
  ) {}

  isTheirs(exchange: string): boolean {
    return this.theirs.has(exchange);
  }

  /** Compares what was not compared yet. @throws TopologyMismatchError with all differences of all of them */
  async compare(topologies: readonly Topology[]): Promise<void> {
    const open = topologies.filter((topology) => !this.done.has(topology));
    const compared = await this.look(wantedOf(open, this.names, this.settings));
    const told = compared.map(toldOf).filter((text) => text !== undefined);
    if (told.length > 0) throw new TopologyMismatchError(told.join('\n'));
    for (const topology of open) this.done.add(topology);
  }

  /** The queues and exchanges of these, in their order, but for those that were found as they are wanted before. */
  async look(all: readonly Wanted[]): Promise<readonly Compared[]> {
    const found: Compared[] = [];
    const left = all
      .filter((wanted): wanted is Wanted<Declared> => 'name' in wanted.operation)
      .filter(({ operation }) => !this.equal.has(JSON.stringify(operation)));
    const open = [...left.entries()];
    await Promise.all(Array.from({ length: Math.min(SIDE_BY_SIDE, open.length) }, () => this.ask(open, found)));
    return found;
  }

  /** What is left, as much as possible on one channel: an answer that is an error closes it. */
  private async ask(left: [at: number, wanted: Wanted<Declared>][], found: Compared[]): Promise<void> {
    while (left.length > 0) {
      let asked: [at: number, wanted: Wanted<Declared>] | undefined;
      try {
        await this.onChannel(async (channel) => {
          while ((asked = left.shift())) {
            const [at, wanted] = asked;
            await check(channel, wanted.operation);
            await perform(channel, wanted.operation);
            this.equal.add(JSON.stringify(wanted.operation));
            found[at] = { wanted, state: 'there', differences: [] };
          }
        });
      } catch (error) {
        if (!asked) throw error;
        const [at, wanted] = asked;
        const { operation } = wanted;
        const state = stateOf(error, operation);
        found[at] = { wanted, state, differences: state === 'there' ? await this.differences(operation, error) : [] };
      }
    }
  }

  private async differences(operation: Declared, error: unknown): Promise<readonly Difference[]> {
    if (operation.adopted) return [];
    if (replyCode(error) !== reply.preconditionFailed) throw error;
    const found = await differencesOf(operation, this.onChannel);
    if (operation.kind === 'queue' || !found.some(({ name }) => name === HARMLESS)) return found;
    this.theirs.add(operation.name);
    return found.filter(({ name }) => name !== HARMLESS);
  }
}

function stateOf(error: unknown, operation: Declared): Compared['state'] {
  const code = replyCode(error);
  if (code === reply.notFound) return 'missing';
  return code === reply.accessRefused || operation.adopted ? 'unknown' : 'there';
}

/** What does not exist is made, and what may not be looked at is told, by its declaration. */
function toldOf({ wanted: { operation, topology }, state, differences }: Compared): string | undefined {
  if (operation.adopted) return state === 'missing' ? missingText(operation) : undefined;
  return differences.length > 0 ? mismatchText(operation, differences, topology) : undefined;
}
