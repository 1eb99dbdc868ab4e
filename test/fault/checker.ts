import type { Entry } from './journal.js';

/** What one worker process left. */
export interface Trail {
  readonly entries: readonly Entry[];
  /** It was killed then: what it held in memory died with it. */
  readonly killedAt?: number;
}

export interface Evidence {
  readonly trails: readonly Trail[];
  /** Ids in the dead-letter queue at the end, once per copy. */
  readonly deadLetters: readonly string[];
  /** Ids that an operator deleted, with a queue they were in. */
  readonly deleted?: ReadonlySet<string>;
}

export interface Allowance {
  /** The most extra copies: what was in flight when the fault hit. */
  readonly duplicates: number;
  /** The most copies of one message. */
  readonly copies: number;
}

/** The accounting of one run, after Jepsen's total-queue checker. */
export interface Account {
  readonly attempted: number;
  /** Receipts by what they said. */
  readonly confirmed: number;
  readonly queued: number;
  readonly rejected: number;
  /** Messages, not calls. */
  readonly handled: number;
  readonly deadLettered: number;
  /** Acknowledged, and neither handled nor dead-lettered. */
  readonly lost: readonly string[];
  /** Acknowledged, and deleted by an operator before they could arrive. */
  readonly deleted: number;
  /** Handled or dead-lettered, and never attempted, or refused to its publisher for good. */
  readonly unexpected: readonly string[];
  /** Extra copies: a message handled or dead-lettered three times counts two. */
  readonly duplicated: number;
  /** Ids with extra copies, and how many copies there were in all. */
  readonly copies: ReadonlyMap<string, number>;
  /** Attempted without a lasting acknowledgement, and handled or dead-lettered after all. */
  readonly recovered: number;
  /** Publishes of surviving processes without any receipt, or queued without a final result. */
  readonly unsettled: readonly string[];
}

/** The publisher said that it did not know, or that it stopped: the broker may have the message all the same. */
const UNCERTAIN = new Set(['PUBLISHER_CLOSED']);

export function account({ trails, deadLetters, deleted = new Set() }: Evidence): Account {
  const attempted = new Set<string>();
  const acknowledged = new Set<string>();
  const refused = new Set<string>();
  const handled = new Set<string>();
  const arrivals = new Map<string, number>();
  const unsettled: string[] = [];
  const counts = { confirmed: 0, queued: 0, rejected: 0 };
  const arrive = (id: string): void => void arrivals.set(id, (arrivals.get(id) ?? 0) + 1);

  for (const { entries, killedAt } of trails) {
    const open = new Set<string>();
    const waiting = new Set<string>();
    for (const entry of entries) {
      if (entry.e === 'attempt') {
        attempted.add(entry.id);
        open.add(entry.id);
      } else if (entry.e === 'receipt') {
        counts[entry.outcome]++;
        open.delete(entry.id);
        if (entry.outcome === 'confirmed') acknowledged.add(entry.id);
        else waiting.add(entry.id);
      } else if (entry.e === 'settled') {
        waiting.delete(entry.id);
        if (entry.outcome === 'confirmed') acknowledged.add(entry.id);
        else {
          counts.rejected++;
          if (!UNCERTAIN.has(entry.code ?? '')) refused.add(entry.id);
        }
      } else if (entry.e === 'rejected') {
        counts.rejected++;
        open.delete(entry.id);
        if (!UNCERTAIN.has(entry.code)) refused.add(entry.id);
      } else if (entry.e === 'end') {
        handled.add(entry.id);
        arrive(entry.id);
      }
    }
    if (killedAt !== undefined) continue;
    // A memory retry queue keeps its word as long as its process lives.
    for (const id of waiting) acknowledged.add(id);
    unsettled.push(...open, ...waiting);
  }
  for (const id of deadLetters) arrive(id);

  const missing = [...acknowledged].filter((id) => !arrivals.has(id));
  const copies = new Map([...arrivals].filter(([, count]) => count > 1));
  return {
    attempted: attempted.size,
    ...counts,
    handled: handled.size,
    deadLettered: new Set(deadLetters).size,
    lost: missing.filter((id) => !deleted.has(id)),
    deleted: missing.filter((id) => deleted.has(id)).length,
    unexpected: [...arrivals.keys()].filter((id) => !attempted.has(id) || (refused.has(id) && !acknowledged.has(id))),
    duplicated: [...copies.values()].reduce((sum, count) => sum + count - 1, 0),
    copies,
    recovered: [...arrivals.keys()].filter((id) => attempted.has(id) && !acknowledged.has(id) && !refused.has(id))
      .length,
    unsettled,
  };
}

/** Why a run fails by its account; empty when it passes. */
export function problemsOf(result: Account, allowed: Allowance): string[] {
  const problems: string[] = [];
  const list = (ids: readonly string[]): string => `${ids.slice(0, 5).join(', ')}${ids.length > 5 ? ', …' : ''}`;
  if (result.lost.length > 0) problems.push(`${result.lost.length} lost: ${list(result.lost)}`);
  if (result.unexpected.length > 0) problems.push(`${result.unexpected.length} unexpected: ${list(result.unexpected)}`);
  if (result.unsettled.length > 0)
    problems.push(`${result.unsettled.length} without a final result: ${list(result.unsettled)}`);
  if (result.duplicated > allowed.duplicates) {
    problems.push(
      `${result.duplicated} duplicates, only ${allowed.duplicates} were in flight: ${list([...result.copies.keys()])}`,
    );
  }
  const most = Math.max(1, ...result.copies.values());
  if (most > allowed.copies) problems.push(`one message came ${most} times, ${allowed.copies} at most are allowed`);
  return problems;
}

/** What is under way by now: publishes without a confirm, and running handlers. Each may come once more if it ends here. */
export function underWay(entries: readonly Entry[]): number {
  const open = new Set<string>();
  const running = new Map<string, number>();
  for (const { e, ...entry } of entries) {
    const { id, outcome } = entry as { readonly id: string; readonly outcome?: string };
    if (e === 'attempt') open.add(id);
    else if ((e === 'receipt' && outcome === 'confirmed') || e === 'settled' || e === 'rejected') open.delete(id);
    else if (e === 'start') running.set(id, (running.get(id) ?? 0) + 1);
    else if (e === 'end' || e === 'fail') running.set(id, (running.get(id) ?? 0) - 1);
  }
  return [...running.values()].reduce((sum, count) => sum + Math.max(0, count), open.size);
}

/** A message of a key that came for the first time after a later one of its key; undefined when all is in order. */
export function firstOutOfOrder(entries: readonly Entry[]): string | undefined {
  const latest = new Map<string, number>();
  const seen = new Set<string>();
  for (const entry of entries) {
    if (entry.e !== 'start' || entry.key === undefined || entry.n === undefined || seen.has(entry.id)) continue;
    seen.add(entry.id);
    const before = latest.get(entry.key) ?? -1;
    if (entry.n < before) return `${entry.id} (number ${entry.n} of key ${entry.key}) came after number ${before}`;
    latest.set(entry.key, entry.n);
  }
  return undefined;
}

/** A message of a key that was confirmed before an earlier one of its key; undefined when all is in order. */
export function firstConfirmedOutOfOrder(entries: readonly Entry[]): string | undefined {
  const attempts = new Map<string, { readonly key: string; readonly n: number }>();
  /** By key, what has no result yet, in the order in which it was published. */
  const open = new Map<string, Set<number>>();
  for (const entry of entries) {
    if (entry.e === 'attempt' && entry.key !== undefined && entry.n !== undefined) {
      attempts.set(entry.id, { key: entry.key, n: entry.n });
      open.set(entry.key, (open.get(entry.key) ?? new Set()).add(entry.n));
    }
    const isResult =
      entry.e === 'settled' || entry.e === 'rejected' || (entry.e === 'receipt' && entry.outcome !== 'queued');
    const attempt = isResult ? attempts.get(entry.id) : undefined;
    if (!attempt) continue;
    const { key, n } = attempt;
    const [first = n] = open.get(key)!;
    const isConfirmed = entry.e !== 'rejected' && 'outcome' in entry && entry.outcome === 'confirmed';
    if (isConfirmed && first < n) return `number ${n} of key ${key} was confirmed before number ${first}`;
    open.get(key)!.delete(n);
  }
  return undefined;
}

/** A message of a key whose first call began before the one before it was over; undefined when there is none. */
export function firstTooEarly(entries: readonly Entry[]): string | undefined {
  const latest = new Map<string, string>();
  const seen = new Set<string>();
  const over = new Set<string>();
  for (const entry of entries) {
    if (entry.e === 'end' || (entry.e === 'fail' && entry.final)) over.add(entry.id);
    if (entry.e === 'event' && entry.name === 'dead-lettered' && entry.id !== undefined) over.add(entry.id);
    if (entry.e !== 'start' || entry.key === undefined || seen.has(entry.id)) continue;
    seen.add(entry.id);
    const before = latest.get(entry.key);
    if (before !== undefined && !over.has(before)) return `${entry.id} began while ${before} of its key was not over`;
    latest.set(entry.key, entry.id);
  }
  return undefined;
}

/** What was under way at some time between `from` and `to`: publishes without a confirm, and running handlers. */
export function inFlight(
  trails: readonly Trail[],
  from: number,
  to: number,
): { publishes: number; deliveries: number } {
  let deliveries = 0;
  let publishes = 0;
  for (const { entries, killedAt = Infinity } of trails) {
    if (killedAt < from) continue;
    const open = new Set<string>();
    const running = new Set<string>();
    for (const entry of entries) {
      if (entry.t > to) break;
      if (entry.e === 'attempt') open.add(entry.id);
      if ((entry.e === 'receipt' && entry.outcome === 'confirmed') || entry.e === 'settled' || entry.e === 'rejected') {
        if (entry.t < from) open.delete(entry.id);
      }
      if (entry.e === 'start') running.add(entry.id);
      if ((entry.e === 'end' || entry.e === 'fail') && entry.t < from) running.delete(entry.id);
    }
    publishes += open.size;
    deliveries += running.size;
  }
  return { publishes, deliveries };
}
