import type { ChannelModel } from 'amqplib';
import type { MessagingError } from '../../../errors/messaging-error.js';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import type { Topology } from '../../../transport/topology.js';
import { delayLevels, MAX_DELAY_MS } from './delay-path.js';
import { delayBands, delayEnds } from './delay-topology.js';
import type { Names } from '../names.js';
import { check, inStages, perform, type Operation } from './operations.js';

type RunOperations = (operations: readonly Operation[], act: typeof perform) => Promise<void>;

/** The levels that the waits of subscriptions need, made or looked for once per connection. */
export class DelayBands {
  private readonly known = new WeakMap<ChannelModel, Map<number, Promise<void>>>();

  constructor(
    private readonly names: Names,
    private readonly run: RunOperations,
  ) {}

  /** What cannot be made for a passing reason is made when it is first needed. */
  async make(topology: Topology, model: ChannelModel | undefined): Promise<void> {
    const making = this.once(topology, model, (tops) =>
      inStages(delayBands(tops, this.names), (share) => this.run(share, perform)),
    );
    await making.catch((error: unknown) => {
      if (!(error as MessagingError).retryable) throw error;
    });
  }

  /** @throws TopologyMismatchError that names what is missing */
  async check(topology: Topology, model: ChannelModel | undefined): Promise<void> {
    const { names } = this;
    const looking = this.once(topology, model, (tops) =>
      this.run([...delayEnds(names), ...delayBands(tops, names).flat()], check),
    );
    await looking.catch((error: unknown) => {
      if (!(error instanceof TopologyMismatchError)) throw error;
      throw new TopologyMismatchError(
        `The retries and delayed messages of «${topology.queue}» have nowhere to wait: ${error.message} for one start of this subscription, which makes all of its delay levels`,
      );
    });
  }

  private async once(
    topology: Topology,
    model: ChannelModel | undefined,
    act: (tops: readonly number[]) => Promise<void>,
  ): Promise<void> {
    const tops = topsOf(topology);
    if (!model || tops.length === 0) return;
    const known = this.known.get(model) ?? new Map<number, Promise<void>>();
    this.known.set(model, known);
    const missing = tops.filter((top) => !known.has(top));
    if (missing.length > 0) {
      const acting = act(missing);
      for (const top of missing) known.set(top, acting);
      acting.catch(() => missing.forEach((top) => known.delete(top)));
    }
    for (const top of tops) await known.get(top);
  }
}

/** The highest levels of all delays between the shortest and the longest. */
export function topsOf({ waits = [] }: Topology): number[] {
  const tops = new Set<number>();
  for (const [shortest, longest] of waits) {
    const [lowest] = delayLevels(Math.min(shortest, MAX_DELAY_MS));
    const [highest] = delayLevels(Math.min(longest, MAX_DELAY_MS));
    for (let top = lowest; top <= highest; top++) tops.add(top);
  }
  return [...tops];
}
