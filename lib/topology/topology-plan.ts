import type { INestApplicationContext } from '@nestjs/common';
import { TopologyMismatchError } from '../errors/configuration-errors.js';
import { isObject, type Json } from '../asyncapi/json.js';
import { checkedPlan } from './checked-plan.js';
import { connectOnce } from '../transport/connect-once.js';
import type { PlannedEntry, TopologyPlan } from '../transport/provisioning.js';
import { type ConnectionTopologies, topologiesOf } from './application-topologies.js';

const FORMAT = 'nestjs-messaging/topology-plan/1';
const DEFAULT_TIMEOUT_MS = 5_000;

export interface TopologyOptions {
  /** The connection of this name. Default: all of them. */
  readonly connection?: string;
  /** Milliseconds in which each broker has to be reached. Default 5,000. */
  readonly timeout?: number;
  /** What a transport warns of. Default: nobody is told. */
  readonly onWarning?: (message: string) => void;
}

/** A plan as it is kept: JSON, without what does it. */
export interface SavedTopologyPlan {
  readonly format: typeof FORMAT;
  readonly connections: readonly SavedConnectionPlan[];
}

export interface SavedConnectionPlan {
  readonly connection: string;
  /** Broker and address, without credentials. */
  readonly broker: string;
  readonly entries: readonly SavedPlanEntry[];
  readonly unseen: readonly string[];
}

/** In its differences null: there is none. */
export type SavedPlanEntry = Omit<PlannedEntry, 'apply'>;

interface ConnectionPlan {
  readonly saved: SavedConnectionPlan;
  readonly plan: TopologyPlan;
}

/**
 * What would be made on the brokers of an application, and nothing is. The application is of `unconnectedApplication`.
 * @throws MessagingError where a broker cannot be reached
 */
export async function planTopology(
  app: INestApplicationContext,
  options: TopologyOptions = {},
): Promise<SavedTopologyPlan> {
  return onEach(app, options, async (plans) => savedOf(plans));
}

/**
 * Makes what a plan adds and changes, in its order; without `saved` what would be planned now. Nothing is made where the
 * plan of now is not the saved one, or has an entry that is to be migrated or decided on. Resolves with what was done.
 * @throws TopologyMismatchError
 */
export async function applyTopology(
  app: INestApplicationContext,
  saved?: SavedTopologyPlan,
  options: TopologyOptions & { readonly onApplied?: (entry: SavedPlanEntry) => void } = {},
): Promise<SavedTopologyPlan> {
  if (saved !== undefined) checkSaved(saved);
  return onEach(app, options, async (plans) => {
    const now = savedOf(plans);
    if (saved) refuseChanged(saved, now);
    refuseUndecided(plans);
    for (const { plan } of plans) {
      for (const entry of plan.entries) {
        if (!entry.apply) continue;
        await entry.apply();
        options.onApplied?.(savedEntry(entry));
      }
    }
    return now;
  });
}

/** Whether there is something to be done. What is unmanaged stays. */
export function hasDifferences({ connections }: SavedTopologyPlan): boolean {
  return connections.some(({ entries }) => entries.some(({ action }) => action !== 'unmanaged'));
}

/** Connects, and closes whatever happens. */
export async function connected<T>(
  { transport, service }: ConnectionTopologies,
  { timeout = DEFAULT_TIMEOUT_MS, onWarning = () => {} }: TopologyOptions,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await connectOnce(transport, { service, timeoutMs: timeout, warn: onWarning });
    return await work();
  } finally {
    await transport.close();
  }
}

/** All are connected before anything is done on one. */
async function onEach<T>(
  app: INestApplicationContext,
  options: TopologyOptions,
  work: (plans: readonly ConnectionPlan[]) => Promise<T>,
): Promise<T> {
  const all = topologiesOf(app, options.connection);
  const plans: ConnectionPlan[] = [];
  const visit = async (at: number): Promise<T> => {
    if (at === all.length) return work(plans);
    const one = all[at];
    const { timeout = DEFAULT_TIMEOUT_MS, onWarning = () => {} } = options;
    if (!one.transport.provisioning) {
      try {
        plans.push(planned(one, await checkedPlan(one, timeout, onWarning)));
        return await visit(at + 1);
      } finally {
        await one.transport.close();
      }
    }
    return connected(one, options, async () => {
      plans.push(planned(one, await one.transport.provisioning!.plan(one.topologies)));
      return visit(at + 1);
    });
  };
  return visit(0);
}

function planned({ connection, transport, ofProcesses }: ConnectionTopologies, plan: TopologyPlan): ConnectionPlan {
  const alone = ofProcesses.map((name) => `The queue of «${name}» is of each process alone, which makes it`);
  const saved = {
    connection,
    broker: `${transport.system} at ${transport.host}`,
    entries: plan.entries.map(savedEntry),
    unseen: [...plan.unseen, ...alone],
  };
  return { saved, plan };
}

function savedEntry({ apply: _, differences, ...entry }: PlannedEntry): SavedPlanEntry {
  const told = differences?.map(({ name, wanted = null, found = null }) => ({ name, wanted, found }));
  return { ...entry, ...(told && { differences: told }) };
}

function savedOf(plans: readonly ConnectionPlan[]): SavedTopologyPlan {
  return { format: FORMAT, connections: plans.map(({ saved }) => saved) };
}

/** @throws TopologyMismatchError for what is no saved plan */
function checkSaved(saved: SavedTopologyPlan): void {
  const { format, connections }: Partial<SavedTopologyPlan> = isObject(saved) ? saved : {};
  const areAll = (list: unknown): list is readonly Json[] => Array.isArray(list) && list.every(isObject);
  if (format !== FORMAT || !areAll(connections) || !connections.every(({ entries }) => areAll(entries)))
    throw new TopologyMismatchError(
      `The saved plan is none: «format» has to be «${FORMAT}», as topology plan writes it`,
    );
}

/** @throws TopologyMismatchError */
function refuseChanged(saved: SavedTopologyPlan, now: SavedTopologyPlan): void {
  const [before, after] = [saved, now].map((one) => new Set(one.connections.flatMap(linesOf)));
  const gone = [...before].filter((line) => !after.has(line));
  const come = [...after].filter((line) => !before.has(line));
  if (gone.length + come.length === 0) return;
  const told = [...gone.map((line) => `no longer: ${line}`), ...come.map((line) => `new: ${line}`)];
  throw new TopologyMismatchError(
    `The broker or the application has changed since the plan was saved; nothing was made. Plan again. ${told.join('; ')}`,
  );
}

function linesOf({ connection, broker, entries }: SavedConnectionPlan): string[] {
  return entries.map(
    ({ action, kind, name, wanted, differences }) =>
      `${action} ${kind} ${name} on ${broker} (${connection}) ${JSON.stringify([wanted, differences])}`,
  );
}

/** @throws TopologyMismatchError */
function refuseUndecided(plans: readonly ConnectionPlan[]): void {
  const told = plans.flatMap(({ plan }) =>
    plan.entries.flatMap(({ action, kind, name, note = '' }) => {
      if (action === 'migrate')
        return [`${note}. To move what is in it: npx nestjs-messaging topology migrate --queue '${name}'`];
      return action === 'refuse' ? [`The ${kind} «${name}»: ${note}`] : [];
    }),
  );
  if (told.length > 0) throw new TopologyMismatchError(`Nothing was made. ${told.join('\n')}`);
}
