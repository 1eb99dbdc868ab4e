import type { ChannelModel } from 'amqplib';
import type { AnswerTimeout } from '../../../clock/answered.js';
import type { Provisioning, QueueMigration, TopologyPlan } from '../../../transport/provisioning.js';
import type { Topology } from '../../../transport/topology.js';
import { withChannel } from '../connection/amqplib.js';
import { reply, replyCode, topologyMisconfiguration } from '../connection/broker-errors.js';
import { queueDepth } from '../queues/browser.js';
import { Comparison } from '../topology/comparison.js';
import { type BindingRecord, DeclaredRecord, recordQueue } from '../queues/declared-record.js';
import type { ManagedQueue, Management } from './management.js';
import { RabbitmqMigration } from './migration.js';
import { asideOf, type Names } from '../names.js';
import { nameOf, type Operation, perform } from '../topology/operations.js';
import { queueArguments } from '../topology/topology.js';
import type { ProvisioningContext } from './provisioning-context.js';
import { type Acts, planOf, type Seen, withRecorded } from './topology-plan.js';
import { type Wanted, wantedOf } from '../topology/wanted.js';

/** What a deployment does with queues, over AMQP. */
export class RabbitmqProvisioning implements Provisioning {
  constructor(private readonly context: () => ProvisioningContext) {}

  async plan(topologies: readonly Topology[]): Promise<TopologyPlan> {
    const context = this.context();
    const wanted = everythingFor(topologies, context);
    const seen = await context.ask((model) => look(model, wanted, context));
    const acts: Acts = {
      recordQueue: recordQueue(context.service),
      perform: (operation) => context.ask((model) => make(model, operation, context)),
      writeRecord: () =>
        context.ask((model) => recordOf(model, context).change(true, async (found) => withRecorded(wanted, found))),
    };
    return planOf(wanted, seen, acts);
  }

  async migration(topologies: readonly Topology[], queue: string): Promise<QueueMigration> {
    const context = this.context();
    const wanted = everythingFor(topologies, context);
    const record = await context.ask(async (model) => {
      const { bound } = context;
      const hasRecord = (await queueDepth(model, bound, recordQueue(context.service))) !== undefined;
      const found = await read(model, hasRecord, context);
      return found && withExchanges(model, bound, found);
    });
    return new RabbitmqMigration(queue, { ...context, wanted, record, management: context.settings.management });
  }
}

/** Without the bindings to exchanges that are gone. */
async function withExchanges(model: ChannelModel, bound: AnswerTimeout, record: BindingRecord): Promise<BindingRecord> {
  const isThere = new Map<string, boolean>();
  for (const { exchange } of [...record.values()].flat())
    if (!isThere.has(exchange))
      isThere.set(
        exchange,
        await withChannel(model, bound, (channel) => channel.checkExchange(exchange)).then(
          () => true,
          (error: unknown) => {
            if (replyCode(error) !== reply.notFound) throw error;
            return false;
          },
        ),
      );
  return new Map([...record].map(([queue, all]) => [queue, all.filter(({ exchange }) => isThere.get(exchange))]));
}

/** What is published to needs its exchange at the first publish. */
function everythingFor(topologies: readonly Topology[], { names, settings }: ProvisioningContext): readonly Wanted[] {
  const wanted = wantedOf(topologies, names, settings);
  const isAsked = wanted.some(({ operation }) => operation.kind === 'exchange' && operation.name === names.exchange);
  if (isAsked) return wanted;
  return [{ operation: { kind: 'exchange', name: names.exchange, type: 'topic' }, topology: undefined }, ...wanted];
}

function recordOf(model: ChannelModel, { service, settings, bound }: ProvisioningContext): DeclaredRecord {
  const { queueType, deliveryLimit } = settings;
  return new DeclaredRecord(recordQueue(service), queueArguments(queueType, deliveryLimit), { current: model }, bound);
}

async function look(model: ChannelModel, wanted: readonly Wanted[], context: ProvisioningContext): Promise<Seen> {
  const { names, settings, bound, service } = context;
  const comparison = new Comparison(names, settings, (work) => withChannel(model, bound, work));
  const compared = await comparison.look(wanted);
  const hasRecord = (await queueDepth(model, bound, recordQueue(service))) !== undefined;
  const record = await read(model, hasRecord, context);
  const isThere = async (queue: string): Promise<boolean> => (await queueDepth(model, bound, queue)) !== undefined;
  const moving = new Set<string>();
  for (const { operation } of wanted)
    if (
      operation.kind === 'queue' &&
      isOfSubscription(operation.name, names) &&
      (await isThere(asideOf(operation.name)))
    )
      moving.add(operation.name);
  const own = new Set([...(record ?? [])].flatMap(([queue, all]) => [queue, ...all.map((one) => one.queue)]));
  const told = settings.management && (await asked(settings.management, service));
  for (const queue of told?.queues ?? []) own.add(queue);
  const queues: string[] = [];
  for (const queue of own) if (await isThere(queue)) queues.push(queue);
  return { compared, record, hasRecord, queues, moving, ...(told && { bindings: told.bindings }) };
}

/** Queues of the service, but for those of one process. */
async function asked(management: Management, service: string): Promise<Pick<Seen, 'queues' | 'bindings'>> {
  const [bindings, all] = await Promise.all([management.bindings(), management.queues()]);
  const isKept = ({ name, arguments: given }: ManagedQueue): boolean =>
    name.startsWith(`${service}:`) && name !== recordQueue(service) && given['x-expires'] === undefined;
  const queues = all.filter((one) => isKept(one) && !/\.(owner|migrating)$/.test(one.name)).map(({ name }) => name);
  return { bindings, queues };
}

/** Undefined where this user may not read it. */
async function read(
  model: ChannelModel,
  hasRecord: boolean,
  context: ProvisioningContext,
): Promise<BindingRecord | undefined> {
  let found: BindingRecord | undefined = hasRecord ? undefined : new Map();
  try {
    await recordOf(model, context).change(false, async (bindings) => void (found = bindings));
  } catch (error) {
    if (replyCode(error) !== reply.accessRefused) throw error;
  }
  return found;
}

/** What delays wait in is shared by all applications. */
export function isOfSubscription(queue: string, names: Names): boolean {
  return queue !== names.dueQueue && !queue.startsWith(`${names.delay}.`);
}

async function make(model: ChannelModel, operation: Operation, { bound, redact }: ProvisioningContext): Promise<void> {
  try {
    await withChannel(model, bound, (channel) => perform(channel, operation));
  } catch (error) {
    throw topologyMisconfiguration(error, nameOf(operation), redact) ?? error;
  }
}
