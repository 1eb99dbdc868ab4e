import type { HealthReport } from '../health/health-report.js';
import type { ObservedMessaging, ObservedSubscription } from './observed-messaging.js';

/** A subscription, and how its queues are together. */
export interface SubscriptionState extends Omit<ObservedSubscription, 'reports'> {
  readonly state: string;
  readonly inFlight: number;
  readonly reason?: string;
}

export function subscriptionStates(messaging: ObservedMessaging, { consumers }: HealthReport): SubscriptionState[] {
  const reasonOf = new Map(consumers.map(({ queue, reason }) => [queue, reason]));
  return messaging.subscriptionSummaries().map(({ reports, ...summary }) => {
    const states = new Set(reports.map(({ state }) => state));
    const reasons = reports.flatMap(({ queue }) => reasonOf.get(queue) ?? []);
    return {
      ...summary,
      state: states.size === 1 ? [...states][0] : [...states].join(', '),
      inFlight: reports.reduce((sum, { inFlight }) => sum + inFlight, 0),
      ...(reasons.length > 0 && { reason: reasons[0] }),
    };
  });
}
