import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { TransportDescription } from '../../transport/description.js';
import type { PlannedDifference, PlannedEntry, Provisioning, TopologyPlan } from '../../transport/provisioning.js';
import type { Topology } from '../../transport/topology.js';
import type { Link } from './link.js';
import { MOST_RECEIVES, type Queues, type Standing } from './queues.js';

export interface ProvisioningContext {
  /** Only look. */
  readonly looking: Queues;
  /** Make what they are asked for, whatever the application may do. */
  readonly making: Queues;
  readonly service: string;
  readonly describe: NonNullable<TransportDescription['queue']>;
  readonly ask: <T>(question: (link: Link) => Promise<T>) => Promise<T>;
}

/** What a deployment does with queues: SQS tells which there are, and their tags what leads to them. */
export class SqsProvisioning implements Provisioning {
  constructor(private readonly context: () => ProvisioningContext) {}

  plan(topologies: readonly Topology[]): Promise<TopologyPlan> {
    const context = this.context();
    return context.ask(async (link) => {
      const entries: PlannedEntry[] = [];
      for (const topology of topologies) entries.push(...(await entriesOf(link, topology, context)));
      // Two subscriptions can share a dead-letter queue.
      const unique = new Map(entries.map((entry) => [JSON.stringify(entry), entry]));
      return { entries: [...unique.values(), ...(await unmanaged(link, topologies, context))], unseen: [] };
    });
  }
}

async function entriesOf(link: Link, topology: Topology, context: ProvisioningContext): Promise<PlannedEntry[]> {
  const { looking, making, describe, ask } = context;
  const apply = (): Promise<void> =>
    ask(async (one) => void (await making.declare(one, { ...topology, provision: true })));
  const { own, dead } = await looking.standing(link, topology);
  const added = ({ wanted: { queue } }: Standing): PlannedEntry => {
    const { bindings = {} } = describe(topology, queue);
    const { bindingVersion: _, ...wanted } = bindings.sqs as Record<string, unknown>;
    return { action: 'add', kind: 'queue', name: queue, wanted, apply };
  };
  const changed = (name: string, differences: readonly PlannedDifference[]): PlannedEntry[] =>
    differences.length > 0 ? [{ action: 'change', kind: 'queue', name, differences, apply }] : [];
  const entries: PlannedEntry[] = [];
  if (dead) entries.push(...(dead.found ? changed(dead.wanted.queue, tagged(dead)) : [added(dead)]));
  if (!own.found) return [...entries, added(own)];
  const { queue } = topology;
  const { url } = own.found;
  const note = await lackOf(async () => looking.check(link, topology, own.found!));
  const differences = tagged(own);
  if (note !== undefined)
    return [{ action: 'refuse', kind: 'queue', name: queue, ...(differences.length > 0 && { differences }), note }];
  if (dead && !(await looking.hasRedrive(link, queue, url))) {
    const wanted = { deadLetterQueue: looking.nameOf(dead.wanted.queue), maxReceiveCount: MOST_RECEIVES };
    differences.push({ name: 'redrivePolicy', wanted, found: undefined });
  }
  const { topics } = looking;
  const lack = topics && (await lackOf(() => topics.check(link, { ...topology, topic: own.wanted.topic }, url)));
  if (lack !== undefined) differences.push({ name: 'subscription on SNS', wanted: own.wanted.topic, found: undefined });
  return [...entries, ...changed(queue, differences)];
}

/** What is written anew in the tags of a queue. */
function tagged({ wanted, found }: Standing): PlannedDifference[] {
  const names = ['topic', 'patterns', 'deadLetterQueue', 'deadLetterRoute', 'takes'] as const;
  const plain = (value: string | readonly string[] | undefined): unknown =>
    typeof value === 'object' ? [...value].sort() : value;
  return names
    .map((name) => ({ name, wanted: plain(wanted[name]), found: plain(found![name]) }))
    .filter((one) => JSON.stringify(one.wanted) !== JSON.stringify(one.found));
}

async function unmanaged(
  link: Link,
  topologies: readonly Topology[],
  { looking, service }: ProvisioningContext,
): Promise<PlannedEntry[]> {
  await looking.load(link);
  const wanted = new Set(topologies.flatMap(({ queue, deadLetter }) => [queue, deadLetter?.queue]));
  return [...looking.routes.records.values()]
    .filter((one) => one.service === service && one.expiresMs === undefined && !wanted.has(one.queue))
    .map(({ queue: name }): PlannedEntry => ({
      ...{ action: 'unmanaged', kind: 'queue', name },
      note: 'It is of this service, and no subscription asks for it',
    }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

async function lackOf(check: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    if (error instanceof TopologyMismatchError) return error.message;
    throw error;
  }
}
