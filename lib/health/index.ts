export { MessagingHealthIndicator, type MessagingHealthOptions } from './messaging-health.indicator.js';
export { OutboxHealthIndicator, type OutboxHealthOptions } from './outbox-health.indicator.js';
export { RequeueHealthIndicator, type RequeueHealthOptions } from './requeue-health.indicator.js';
export { type AlertsOptions } from '../dead-letter/dead-letter-alerts.js';
export { type DeadLetterAlert } from '../events/dead-letter-alert.js';
export { type ConsumerGroup } from '../transport/consumer-group.js';
export { type DeclinedDestination } from '../publisher/nacked-destinations.js';
export {
  type HealthReport,
  type ConnectionHealth,
  type ConsumerHealth,
  type RetryQueueHealth,
  type DeadLetterHealth,
} from './health-report.js';
