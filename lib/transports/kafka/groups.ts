import type { ConsumerGroup } from '../../transport/consumer-group.js';
import type { CancelTimer, Clock } from '../../clock/clock.js';
import { readAhead } from './ahead.js';
import type { KafkaLink } from './client-port.js';
import type { GroupReader } from './reader.js';

const EVERY_MS = 5_000;
/** After a change. */
const SOON_MS = 500;

/** What the broker told of a group. */
interface Told {
  readonly state: string;
  readonly members: number;
  readonly lag: number;
  readonly at: number;
}

/** What is told of the groups that this process is in, asked for now and then so that health need not. */
export class Groups {
  private readonly told = new Map<string, Told>();

  private cancel: CancelTimer = () => {};
  private running = false;
  private hurried = false;

  constructor(
    private readonly clock: Clock,
    private readonly link: () => KafkaLink | undefined,
    private readonly readers: () => Iterable<GroupReader>,
    /** Looks for what else has changed. */
    private readonly look: () => Promise<void> = async () => {},
  ) {}

  start(): void {
    this.running = true;
    this.ask(EVERY_MS);
  }

  stop(): void {
    this.running = false;
    this.cancel();
  }

  /** Somebody came or went: it is asked again soon. */
  changed(): void {
    if (this.running && !this.hurried) this.ask(SOON_MS);
    this.hurried = true;
  }

  report(name: string): ConsumerGroup | undefined {
    const readers = [...this.readers()].filter((reader) => reader.group === name);
    if (readers.length === 0) return undefined;
    const { at, ...told } = this.told.get(name) ?? {};
    const partitions = readers.reduce((sum, reader) => sum + reader.partitions, 0);
    return {
      name,
      partitions,
      ...told,
      ...(at !== undefined && { ageMs: Math.round(this.clock.monotonic() - at) }),
    };
  }

  private ask(inMs: number): void {
    this.cancel();
    this.cancel = this.clock.after(inMs, () => void this.refreshed(), { background: true });
  }

  /** A broker that does not answer leaves what it told before, with its age. */
  private async refreshed(): Promise<void> {
    this.hurried = false;
    const link = this.link();
    if (link) await Promise.allSettled([this.refresh(link), this.look()]);
    if (this.running && !this.hurried) this.ask(EVERY_MS);
  }

  private async refresh(link: KafkaLink): Promise<void> {
    const topics = new Map([...this.readers()].map((reader) => [reader.group, reader.topics]));
    for (const name of this.told.keys()) if (!topics.has(name)) this.told.delete(name);
    if (topics.size === 0) return;
    const states = await link.groups([...topics.keys()]);
    await Promise.allSettled([...this.readers()].map((reader) => reader.look()));
    for (const [name, read] of topics) {
      const lag = await lagOf(link, name, read);
      const { state = 'Dead', members = 0 } = states.get(name) ?? {};
      this.told.set(name, { state, members, lag, at: this.clock.monotonic() });
    }
  }
}

/** Records that a group has not finished with. Where it has no place it begins with the first there is. */
export async function lagOf(
  link: KafkaLink,
  group: string,
  topics: readonly string[],
  /** `readers`: members that are here; of their partitions only what is not handed over counts. `here`: only of those. */
  { readers = [], here = false }: { readonly readers?: readonly GroupReader[]; readonly here?: boolean } = {},
): Promise<number> {
  let lag = 0;
  for (const topic of topics) {
    // The places first: what is written between the two questions counts.
    const places = new Map((await link.committed(group, topic)).map((place) => [place.partition, place]));
    for (const { partition, first, end } of await link.ranges(topic)) {
      const { offset = first, metadata } = places.get(partition) ?? {};
      const held = readers.map((reader) => reader.heldOf({ topic, partition })).find((one) => one);
      if (here && !held) continue;
      const settled = held ? 0 : (readAhead(offset, metadata)?.offsets.size ?? 0);
      lag += Math.max(0, end - Math.max(first, offset, held?.next ?? 0) - settled + (held?.waiting ?? 0));
    }
  }
  return lag;
}
