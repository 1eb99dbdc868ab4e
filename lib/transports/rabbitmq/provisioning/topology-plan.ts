import type { PlannedEntry, TopologyPlan } from '../../../transport/provisioning.js';
import type { Topology } from '../../../transport/topology.js';
import type { Compared } from '../topology/comparison.js';
import { argumentsText, type BindingRecord, type RecordedBinding, same } from '../queues/declared-record.js';
import { commandToUnbind, recorded } from '../topology/former-bindings.js';
import type { SeenBinding } from './management.js';
import { mismatchText, missingText } from '../topology/mismatch-text.js';
import { asideOf } from '../names.js';
import type { Operation } from '../topology/operations.js';
import { checkSubscriptionOptions } from '../options.js';
import type { Wanted } from '../topology/wanted.js';

type BindingOperation = Extract<Operation, { readonly kind: 'binding' | 'exchange-binding' }>;
type QueueBinding = Extract<Operation, { readonly kind: 'binding' }>;

/** What is known of a broker when a plan is made. */
export interface Seen {
  /** Of every queue and exchange that is wanted. */
  readonly compared: readonly Compared[];
  /** Undefined where the user may not read it, or it could not be read. */
  readonly record: BindingRecord | undefined;
  /** False where there is no queue for it yet. */
  readonly hasRecord: boolean;
  /** Every binding, where the broker tells. */
  readonly bindings?: readonly SeenBinding[];
  /** Queues of the service that are there, as far as is known. */
  readonly queues: readonly string[];
  /** Queues of which a migration has begun. */
  readonly moving: ReadonlySet<string>;
}

/** What does what is planned. */
export interface Acts {
  readonly perform: (operation: Operation) => Promise<void>;
  readonly writeRecord: () => Promise<void>;
  readonly recordQueue: string;
}

const DELAYS = 'the end and the levels of delays';

/** What is to be done so that everything wanted exists. */
export function planOf(wanted: readonly Wanted[], seen: Seen, acts: Acts): TopologyPlan {
  const found = new Map(seen.compared.map((one) => [one.wanted.operation, one] as const));
  const absent = new Set(
    seen.compared.flatMap(({ wanted: { operation }, state }) =>
      state === 'missing' ? [`${operation.kind} ${operation.name}`] : [],
    ),
  );
  const entries: PlannedEntry[] = recordEntries(wanted, seen, acts);
  let assumed = 0;
  for (const { operation, topology } of wanted) {
    if (operation.kind === 'queue' || operation.kind === 'exchange') {
      const compared = found.get(operation);
      const entry = compared && entryOf(compared, topology, seen.moving, acts);
      if (entry) entries.push(entry);
      continue;
    }
    const isThere = isBound(operation, topology, seen, absent);
    if (isThere === 'assumed') assumed++;
    if (isThere === false) entries.push(added(operation, acts));
  }
  entries.push(...unmanagedIn(wanted, seen));
  return { entries, unseen: unseenOf(seen, assumed, acts) };
}

function entryOf(
  { state, differences, wanted }: Compared,
  topology: Topology | undefined,
  moving: ReadonlySet<string>,
  acts: Acts,
): PlannedEntry | undefined {
  const { operation } = wanted;
  const { kind, name } = operation;
  if (kind === 'queue' && moving.has(name))
    return {
      action: 'migrate',
      kind,
      name,
      differences,
      note: `A migration was not finished: «${asideOf(name)}» is there`,
    };
  if (operation.adopted)
    return state === 'missing' ? { action: 'refuse', kind, name, note: missingText(operation) } : undefined;
  if (state === 'missing') return added(operation, acts);
  if (state === 'unknown') return { action: 'refuse', kind, name, note: 'This user may not look at it' };
  if (differences.length === 0) return undefined;
  const note = mismatchText(operation, differences, topology);
  return { action: kind === 'queue' ? 'migrate' : 'refuse', kind, name, differences, note };
}

function added(operation: Operation, { perform }: Acts): PlannedEntry {
  const apply = (): Promise<void> => perform(operation);
  switch (operation.kind) {
    case 'queue':
      return { action: 'add', kind: 'queue', name: operation.name, wanted: propertiesOf(operation), apply };
    case 'exchange': {
      const { name, type } = operation;
      return { action: 'add', kind: 'exchange', name, wanted: { type, ...propertiesOf(operation) }, apply };
    }
    default:
      return { action: 'add', kind: 'binding', name: bindingName(operation), apply };
  }
}

function propertiesOf({ arguments: given, durable, autoDelete }: Extract<Operation, { kind: 'queue' | 'exchange' }>) {
  return { ...given, ...(durable === false && { durable }), ...(autoDelete && { autoDelete }) };
}

function bindingName(operation: BindingOperation): string {
  if (operation.kind === 'exchange-binding')
    return `${operation.source} → ${operation.destination} ${JSON.stringify(operation.arguments)}`;
  const { exchange, queue, key, arguments: given } = operation;
  return `${exchange} → ${queue} by ${given ? JSON.stringify(given) : `«${key}»`}`;
}

/** Where the broker does not tell: what is on record is there; what is between two things that are there is taken to be. */
function isBound(
  operation: BindingOperation,
  topology: Topology | undefined,
  { bindings, record }: Seen,
  absent: ReadonlySet<string>,
): boolean | 'assumed' {
  if (bindings) return bindings.some((one) => isSame(one, operation));
  const ends =
    operation.kind === 'binding'
      ? [`queue ${operation.queue}`, `exchange ${operation.exchange}`]
      : [`exchange ${operation.destination}`, `exchange ${operation.source}`];
  if (ends.some((end) => absent.has(end))) return false;
  if (operation.kind === 'exchange-binding' || !record || !isRecorded(operation, topology)) return 'assumed';
  return [...record.values()].flat().some((one) => !one.unbound && same(one, operation));
}

function isSame(one: SeenBinding, operation: BindingOperation): boolean {
  const isToQueue = operation.kind === 'binding';
  const [source, destination, key] = isToQueue
    ? [operation.exchange, operation.queue, operation.key]
    : [operation.source, operation.destination, operation.key ?? ''];
  return (
    one.isToQueue === isToQueue &&
    one.source === source &&
    one.destination === destination &&
    one.key === key &&
    argumentsText(one.arguments) === argumentsText(operation.arguments)
  );
}

/** Before anything is bound, so that nothing is bound without being on record. */
function recordEntries(wanted: readonly Wanted[], { record, hasRecord }: Seen, acts: Acts): PlannedEntry[] {
  if (!record || !withRecorded(wanted, record)) return [];
  const { recordQueue: name, writeRecord: apply } = acts;
  return hasRecord
    ? [{ action: 'change', kind: 'record', name, note: 'What the service binds is written down there', apply }]
    : [{ action: 'add', kind: 'queue', name, note: 'What the service binds is written down there', apply }];
}

/** The record with all that is wanted on it; undefined where that is there. */
export function withRecorded(wanted: readonly Wanted[], record: BindingRecord): BindingRecord | undefined {
  let now = record;
  for (const [topology, bindings] of byTopology(wanted))
    now = recorded(topology.queue, bindings, { unbind: [] }, now) ?? now;
  return now === record ? undefined : now;
}

/** What a service writes down: not what delays are led by, and nothing of the parts of a queue. */
function byTopology(wanted: readonly Wanted[]): Map<Topology, QueueBinding[]> {
  const all = new Map<Topology, QueueBinding[]>();
  for (const { operation, topology } of wanted) {
    if (!topology || topology.partitionOf !== undefined || topology.membersOf !== undefined) continue;
    if (operation.kind !== 'binding' || !isRecorded(operation, topology)) continue;
    all.set(topology, [...(all.get(topology) ?? []), operation]);
  }
  return all;
}

function isRecorded({ queue, exchange, key }: QueueBinding, topology: Topology | undefined): boolean {
  if (queue === topology?.deadLetter?.queue) return key === topology.deadLetter.route;
  if (queue !== topology?.queue) return false;
  const { bindings = [] } = checkSubscriptionOptions(topology.native);
  return topology.patterns.includes(key) || bindings.some((one) => one.exchange === exchange && one.key === key);
}

function unmanagedIn(wanted: readonly Wanted[], { record, bindings, queues }: Seen): PlannedEntry[] {
  const names = new Set(wanted.flatMap(({ operation }) => (operation.kind === 'queue' ? [operation.name] : [])));
  const bound = wanted.flatMap(({ operation }) => (operation.kind === 'binding' ? [operation] : []));
  const written = [...(record ?? [])].flatMap(([queue, all]) => all.map((one) => ({ ...one, of: queue })));
  const seen = bindings?.flatMap(
    ({ source: exchange, destination: queue, key, isToQueue, arguments: given }): RecordedBinding[] =>
      isToQueue && names.has(queue) && exchange !== ''
        ? [{ queue, exchange, key, ...(Object.keys(given).length > 0 && { arguments: given }) }]
        : [],
  );
  const left = (seen ?? written.filter(({ unbound, queue }) => !unbound && names.has(queue))).filter(
    (one) => !bound.some((two) => same(one, two)),
  );
  const others = queues.filter((name) => !names.has(name));
  return [
    ...others.sort().map((name): PlannedEntry => ({
      action: 'unmanaged',
      kind: 'queue',
      name,
      note: 'It is of this service, and no subscription asks for it',
    })),
    ...left.map((one: RecordedBinding): PlannedEntry => ({
      action: 'unmanaged',
      kind: 'binding',
      name: bindingName({ kind: 'binding', ...one }),
      note: `To remove it: ${commandToUnbind(one)}`,
    })),
  ];
}

function unseenOf({ record, bindings }: Seen, assumed: number, { recordQueue }: Acts): string[] {
  if (bindings) return [];
  const told = [
    `AMQP tells of no bindings and lists no queues: those of the service are taken from its record «${recordQueue}», and what others have made is not seen. With «rabbitmq.management» the broker is asked`,
  ];
  if (!record) told.push(`The record «${recordQueue}» cannot be read by this user`);
  if (assumed > 0)
    told.push(`${assumed} bindings (${DELAYS}, most of all) are taken to be there, as both their ends are`);
  return told;
}
