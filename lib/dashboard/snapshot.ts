import type { HealthReport } from '../health/health-report.js';
import type { Activity } from './activity.js';
import type { FleetWatch } from './fleet/fleet-watch.js';
import type { ResolvedDashboard } from './dashboard-options.js';
import type { Letters } from './letters.js';
import type { ObservedMessaging } from './observed-messaging.js';
import type { QueueDepths } from './queue-depths.js';
import type { Rates } from './rates.js';
import type { Redrives } from './redrives.js';
import { subscriptionStates } from './subscription-states.js';
import { troublesOf } from './troubles.js';

export interface SnapshotParts {
  readonly messaging: ObservedMessaging;
  readonly options: ResolvedDashboard;
  readonly letters: Letters;
  readonly rates: Rates;
  readonly depths: QueueDepths;
  readonly redrives: Redrives;
  readonly activity: Activity;
  /** Undefined: this process is in none. */
  readonly fleet: FleetWatch | undefined;
}

export const SECTIONS = ['overview', 'subscriptions', 'queues', 'publisher', 'redrives', 'activity', 'fleet'] as const;
export type Section = (typeof SECTIONS)[number];

/** What all tabs see of this process, by section; made of what is in memory. */
export function takeSnapshot(parts: SnapshotParts): Record<Section, unknown> {
  const { messaging, redrives, activity, fleet } = parts;
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
    fleet: fleet?.told() ?? null,
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

function subscriptionsOf({ messaging, rates, depths }: SnapshotParts, health: HealthReport): object[] {
  return subscriptionStates(messaging, health).map((one) => ({
    ...one,
    ready: depths.of(one.queue),
    rates: rates.report(one.queue),
  }));
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
