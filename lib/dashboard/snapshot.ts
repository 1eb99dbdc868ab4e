import type { HealthReport } from '../health/health-report.js';
import type { Activity } from './activity.js';
import type { ResolvedDashboard } from './dashboard-options.js';
import type { Letters } from './letters.js';
import type { ObservedMessaging } from './observed-messaging.js';
import type { QueueDepths } from './queue-depths.js';
import type { Rates } from './rates.js';
import type { Redrives } from './redrives.js';

/** Something that is wrong, and the page that helps. */
interface Trouble {
  readonly text: string;
  readonly page: 'subscriptions' | 'dead-letters' | 'publisher' | 'queues' | '';
}

export interface SnapshotParts {
  readonly messaging: ObservedMessaging;
  readonly options: ResolvedDashboard;
  readonly letters: Letters;
  readonly rates: Rates;
  readonly depths: QueueDepths;
  readonly redrives: Redrives;
  readonly activity: Activity;
}

export const SECTIONS = ['overview', 'subscriptions', 'queues', 'publisher', 'redrives', 'activity'] as const;
export type Section = (typeof SECTIONS)[number];

/** What all tabs see of this process, by section; made of what is in memory. */
export function takeSnapshot(parts: SnapshotParts): Record<Section, unknown> {
  const { messaging, redrives, activity } = parts;
  const health = messaging.health();
  const { clock } = messaging.environment;
  const now = clock.now();
  const subscriptions = subscriptionsOf(parts, health);
  return {
    overview: overviewOf(parts, health),
    subscriptions,
    queues: queuesOf(parts, health, now),
    publisher: {
      ...health.retryQueue,
      deadLetters: health.deadLetters.publisher,
      undeliverable: health.undeliverable ?? 0,
    },
    redrives: redrives.all,
    activity: activity.all,
  };
}

function overviewOf({ messaging, options, letters, rates, depths }: SnapshotParts, health: HealthReport): object {
  const { connection, consumers, retryQueue, deadLetters } = health;
  const perSecond = rates.perSecond();
  const queued = deadLetters.queues.reduce((sum, { count }) => sum + count, 0);
  return {
    environment: options.environment,
    service: messaging.environment.service,
    name: messaging.connection,
    coordinated: messaging.coordinated,
    status: health.status,
    connection,
    ready: depths.sum,
    inFlight: consumers.reduce((sum, { inFlight }) => sum + inFlight, 0),
    handledPerSecond: round(perSecond.handled),
    failedPerSecond: round(perSecond.failed),
    deadLetters: { queues: queued, archive: letters.archived?.total, publisher: deadLetters.publisher },
    retryQueue: { depth: retryQueue.depth, oldestAgeMs: seconds(retryQueue.oldestAgeMs) },
    troubles: troublesOf(health),
    lettersVersion: letters.version,
  };
}

function troublesOf(health: HealthReport): Trouble[] {
  const { connection, consumers, retryQueue, deadLetters, undeliverable = 0 } = health;
  const found: Trouble[] = [];
  const add = (isSo: boolean, page: Trouble['page'], text: string): void => void (isSo && found.push({ text, page }));
  const down = connection.state !== 'connected';
  add(down, '', `The connection is ${connection.state}: ${connection.reason ?? ''}. ${connection.advice ?? ''}`);
  for (const { queue, state, reason } of consumers) {
    add(reason !== undefined, 'subscriptions', `«${queue}»: ${reason}`);
    add(reason === undefined && state === 'paused', 'subscriptions', `«${queue}» is paused`);
  }
  const queued = deadLetters.queues.reduce((sum, { count }) => sum + count, 0);
  add(queued > 0, 'dead-letters', `${queued} dead letters are in queues`);
  add(deadLetters.publisher > 0, 'publisher', `${deadLetters.publisher} messages could not be published`);
  add(retryQueue.depth > 0, 'publisher', `${retryQueue.depth} messages wait to be published`);
  add(retryQueue.healthy === false, 'publisher', 'The publisher retry queue cannot be written to its disk');
  add(
    (retryQueue.quarantined ?? 0) > 0,
    'publisher',
    `${retryQueue.quarantined} files or messages were put aside, since they cannot be read`,
  );
  for (const { to, reason } of retryQueue.nacked ?? [])
    add(true, 'publisher', `The broker takes nothing for «${to}»: ${reason}`);
  add(undeliverable > 0, 'publisher', `${undeliverable} delayed messages are due, and no queue takes them`);
  return found;
}

function subscriptionsOf({ messaging, rates, depths }: SnapshotParts, { consumers }: HealthReport): object[] {
  const reasonOf = new Map(consumers.map(({ queue, reason }) => [queue, reason]));
  return messaging.subscriptionSummaries().map(({ reports, ...summary }) => {
    const states = new Set(reports.map(({ state }) => state));
    const reasons = reports.flatMap(({ queue }) => reasonOf.get(queue) ?? []);
    return {
      ...summary,
      state: states.size === 1 ? [...states][0] : [...states].join(', '),
      inFlight: reports.reduce((sum, { inFlight }) => sum + inFlight, 0),
      ...(reasons.length > 0 && { reason: reasons[0] }),
      ready: depths.of(summary.queue),
      rates: rates.report(summary.queue),
    };
  });
}

/** The queues that dead letters are in, as the broker counted them. */
function queuesOf({ messaging, letters }: SnapshotParts, health: HealthReport, now: number): object {
  const looks = new Map(letters.looks.map((look) => [look.queue, look]));
  const names = new Set(messaging.subscriptionSummaries().flatMap(({ deadLetterQueue }) => deadLetterQueue ?? []));
  const counts = new Map(health.deadLetters.queues.map((one) => [one.queue, one]));
  return {
    archive: letters.archived,
    deadLetterQueues: [...names].map((queue) => {
      const counted = counts.get(queue);
      const countedAt = counted && Math.round((now - counted.ageMs) / 1_000) * 1_000;
      return { queue, count: counted?.count, countedAt, look: looks.get(queue) };
    }),
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;
const seconds = (ms: number): number => Math.round(ms / 1_000) * 1_000;
