import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import type {
  PlannedDifference,
  PlannedEntry,
  Provisioning,
  QueueMigration,
  TopologyPlan,
} from '../../../transport/provisioning.js';
import type { Topology } from '../../../transport/topology.js';
import { type QueueRecord, recordOf } from '../topology/binding.js';
import { apiCode, codeOf } from '../connection/broker-errors.js';
import { missingText, mismatchOf, unadoptable } from '../topology/comparison.js';
import { FORWARDER } from '../topology/delayed-stream.js';
import { declareForwarder } from '../publishing/forwarder.js';
import { type Link, NANOS_PER_MS } from '../connection/link.js';
import { tokenOf } from '../names.js';
import type { Queue } from '../topology/queues.js';
import type { Settings } from '../options.js';
import { type MigrationContext, TopicMigration } from './topic-migration.js';

export interface ProvisioningContext extends MigrationContext {
  readonly settings: Settings;
  readonly service: string;
  readonly redact: (text: string) => string;
}

/** What a deployment does with streams and queues: JetStream tells everything. */
export class NatsProvisioning implements Provisioning {
  constructor(private readonly context: () => ProvisioningContext) {}

  plan(topologies: readonly Topology[]): Promise<TopologyPlan> {
    const context = this.context();
    return context.ask(async (link) => {
      const streams = await streamEntries(link, topologies, context);
      const queues: PlannedEntry[] = [];
      for (const topology of topologies) queues.push(...(await queueEntries(link, topology, context)));
      // Two subscriptions can share a dead-letter queue.
      const unique = new Map(queues.map((entry) => [JSON.stringify(entry), entry]));
      const unmanaged = await unmanagedQueues(link, topologies, context);
      return { entries: [...streams, ...unique.values(), ...unmanaged], unseen: [] };
    });
  }

  async migration(topologies: readonly Topology[], queue: string): Promise<QueueMigration> {
    const context = this.context();
    const topology = topologies.find((one) => one.queue === queue);
    if (!topology) throw new TopologyMismatchError(`No subscription of the application has a queue «${queue}»`);
    return new TopicMigration(topology, context);
  }
}

async function streamEntries(
  link: Link,
  topologies: readonly Topology[],
  context: ProvisioningContext,
): Promise<PlannedEntry[]> {
  const { streams, names, settings, ask, redact } = context;
  const topics = [...new Set([names.stream, ...topologies.map(({ topic = names.stream }) => topic)])];
  streams.want(topics);
  const entries: PlannedEntry[] = [];
  for (const config of [streams.config, streams.delayedConfig]) {
    const { name, subjects, retention, storage, num_replicas: replicas = 1 } = config;
    const isMain = name === names.stream;
    const apply = (): Promise<void> => ask((one) => (isMain ? streams.provide(one) : streams.ensureDelayed(one)));
    const found = await configOf(link, name);
    if (!found) {
      const wanted = { subjects, retention, storage, num_replicas: replicas };
      entries.push({ action: 'add', kind: 'stream', name, wanted, apply });
      continue;
    }
    if (found.retention !== retention) {
      const differences = [{ name: 'retention', wanted: retention, found: found.retention }];
      entries.push({
        action: 'refuse',
        kind: 'stream',
        name,
        differences,
        note: 'Choose another «stream» in nats({…})',
      });
      continue;
    }
    const lacking = subjects.filter((subject) => !found.subjects.includes(subject));
    if (lacking.length > 0) {
      const differences = [{ name: 'subjects', wanted: [...found.subjects, ...lacking], found: found.subjects }];
      entries.push({ action: 'change', kind: 'stream', name, differences, apply });
    }
    if (settings.replicas > found.num_replicas)
      entries.push({
        ...{ action: 'change', kind: 'stream', name },
        differences: [{ name: 'num_replicas', wanted: settings.replicas, found: found.num_replicas }],
        apply: () =>
          ask(async (one) => void (await one.manager.streams.update(name, { num_replicas: settings.replicas }))),
      });
  }
  if (topologies.length > 0 && !(await isThere(link, names.delayed, FORWARDER)))
    entries.push({
      ...{ action: 'add', kind: 'consumer', name: `${names.delayed} ${FORWARDER}` },
      apply: () => ask(async (one) => void (await declareForwarder(one, names, redact))),
    });
  return entries;
}

async function configOf(link: Link, name: string) {
  try {
    return (await link.manager.streams.info(name)).config;
  } catch (error) {
    if (codeOf(error) === apiCode.streamNotFound) return undefined;
    throw error;
  }
}

async function isThere(link: Link, stream: string, consumer: string): Promise<boolean> {
  try {
    await link.manager.consumers.info(stream, consumer);
    return true;
  } catch (error) {
    if (codeOf(error) === apiCode.consumerNotFound || codeOf(error) === apiCode.streamNotFound) return false;
    throw error;
  }
}

async function queueEntries(link: Link, topology: Topology, context: ProvisioningContext): Promise<PlannedEntry[]> {
  const { queues, settings, ask } = context;
  const { queue, adopt } = topology;
  const entries: PlannedEntry[] = [];
  for (const record of queues.recordsOf(topology)) {
    const { queue: name } = record;
    const isAdopted = adopt === true && name === queue;
    const apply = (): Promise<void> =>
      ask(async (one) => {
        const stream = await one.manager.streams.info(context.names.stream);
        await queues.ensure(one, record, stream.created, true, undefined, isAdopted);
      });
    const found = await queues.find(link, name, isAdopted);
    const refused = isAdopted ? refusal(found, name, settings) : undefined;
    if (refused !== undefined) entries.push({ action: 'refuse', kind: 'queue', name, note: refused });
    else if (!found) {
      const { patterns, topic, deadLetter } = record;
      const wanted = { topic, patterns: Object.keys(patterns), ...(deadLetter && { deadLetter: deadLetter.queue }) };
      entries.push({ action: 'add', kind: 'queue', name, wanted, apply });
    } else entries.push(...changesOf(link, found, record, isAdopted, apply, context));
  }
  return entries;
}

function refusal(found: Queue | undefined, queue: string, { ackWait }: Settings): string | undefined {
  return found ? unadoptable(queue, found.info.config, ackWait) : missingText(queue);
}

function changesOf(
  link: Link,
  found: Queue,
  wanted: QueueRecord,
  isAdopted: boolean,
  apply: () => Promise<void>,
  { queues, settings, names, ask }: ProvisioningContext,
): PlannedEntry[] {
  const { queue: name } = wanted;
  const entry = { kind: 'queue', name } as const;
  const open = ({ patterns }: QueueRecord): string[] =>
    Object.keys(patterns)
      .filter((one) => patterns[one] === 0)
      .sort();
  const [bound, asked] = [open(found.record), open(wanted)];
  const isBound = asked.length > 0 && Object.keys(found.record.patterns).length > 0;
  const isMoved = isBound && found.record.topic !== wanted.topic;
  if (isMoved)
    return [
      {
        ...entry,
        action: 'migrate',
        differences: [{ name: 'topic', wanted: wanted.topic, found: found.record.topic }],
        note: mismatchOf(found.record, wanted),
      },
    ];
  const record = queues.together(found.record, wanted);
  const differences: PlannedDifference[] = [];
  const add = (what: string, to: unknown, from: unknown): void => {
    if (JSON.stringify(to) !== JSON.stringify(from)) differences.push({ name: what, wanted: to, found: from });
  };
  add('patterns', open(record), bound);
  add('dead-letter routes', record.routes, found.record.routes);
  add('dead-letter queue', record.deadLetter?.queue, found.record.deadLetter?.queue);
  if (differences.length === 0 && !queues.isCurrent(link, found, record)) add('filters', 'as its patterns', 'others');
  const entries: PlannedEntry[] = [];
  if (differences.length > 0) {
    // Where the dead letters go is written down only: nothing has to be moved.
    const write = (): Promise<void> =>
      ask(async (one) => {
        // What another process has bound since the plan stays.
        const now = (await queues.find(one, name))?.record ?? found.record;
        await queues.update(one, queues.together(now, wanted));
      });
    entries.push({
      ...entry,
      action: 'change',
      differences,
      apply: mismatchOf(found.record, wanted) === undefined ? apply : write,
    });
  }
  const wait = settings.ackWait * NANOS_PER_MS;
  if (!isAdopted && found.info.config.ack_wait !== wait) {
    const told = [{ name: 'ack_wait', wanted: wait, found: found.info.config.ack_wait }];
    const change = (): Promise<void> =>
      ask(async (one) => void (await one.manager.consumers.update(names.stream, tokenOf(name), { ack_wait: wait })));
    entries.push({ ...entry, action: 'change', differences: told, apply: change });
  }
  const former = isAdopted || asked.length === 0 ? [] : bound.filter((pattern) => !asked.includes(pattern));
  return [
    ...entries,
    ...former.map((pattern): PlannedEntry => ({
      action: 'unmanaged',
      kind: 'binding',
      name: `${wanted.topic} → ${name} by «${pattern}»`,
      note: 'A process that starts while nobody consumes the queue unbinds it',
    })),
  ];
}

async function unmanagedQueues(
  link: Link,
  topologies: readonly Topology[],
  { names, service, queues }: ProvisioningContext,
): Promise<PlannedEntry[]> {
  const wanted = new Set(topologies.flatMap((one) => queues.recordsOf(one).map(({ queue }) => queue)));
  const found: PlannedEntry[] = [];
  if (!(await configOf(link, names.stream))) return found;
  for await (const { config } of link.manager.consumers.list(names.stream)) {
    const { queue, service: owner } = recordOf(config) ?? {};
    // A queue of one process goes with it.
    const isOurs = owner === service || (owner === undefined && queue?.startsWith(`${service}:`));
    if (queue === undefined || !isOurs || wanted.has(queue) || config.inactive_threshold) continue;
    const note = 'It is of this service, and no subscription asks for it';
    found.push({ action: 'unmanaged', kind: 'queue', name: queue, note });
  }
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}
