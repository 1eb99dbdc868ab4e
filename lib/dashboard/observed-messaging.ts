import type { Clock } from '../clock/clock.js';
import type { QueueReport } from '../consumer/queue-consumer.js';
import type { SubscriptionSummary } from '../consumer/subscription/subscription-line.js';
import type { DeadLetters } from '../dead-letter/dead-letters.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { HealthReport } from '../health/health-report.js';
import type { Transport } from '../transport/transport.js';

/** What is known of a subscription from outside of its process, too. @internal */
export interface ObservedSubscription
  extends Pick<SubscriptionSummary, Known>, Partial<Omit<SubscriptionSummary, Known>> {
  readonly reports: readonly QueueReport[];
}

type Known = 'name' | 'queue' | 'routes' | 'deadLetterQueue';

/** What a dashboard uses of a connection: the injectable `Messaging`. */
export interface ObservedMessaging {
  readonly connection: string;
  readonly events: MessagingEvents;
  readonly deadLetters: DeadLetters;
  health(): HealthReport;
  pause(name: string): void;
  resume(name: string): void;
  pauseEverywhere(name: string): Promise<Date>;
  resumeEverywhere(name: string): Promise<void>;
  /** Whether the last two reach other processes. @internal */
  readonly coordinated: boolean;
  /** @internal */
  readonly environment: {
    readonly service: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly provision?: boolean;
  };
  /** Undefined: nobody else can be spoken with. @internal */
  readonly described?: { readonly transport: Transport; readonly topic: string | undefined };
  /** @internal */
  subscriptionSummaries(): readonly ObservedSubscription[];
  /** How many messages are ready in a queue; undefined where the broker does not say. @internal */
  depth(queue: string): Promise<number | undefined>;
}
