/*
 * Every name that is sent to a telemetry backend, but for those of one broker, which its transport has. `messaging.*`,
 * `server.*` and `error.type` are those of OpenTelemetry's semantic conventions for messaging; what these have no word for
 * begins with `nestjs_messaging.`. The list for readers is docs/opentelemetry.md; what differs between versions of the
 * conventions is chosen in naming.ts.
 */

export const attribute = {
  system: 'messaging.system',
  systemName: 'messaging.system.name',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  template: 'messaging.destination.template',
  group: 'messaging.consumer.group.name',
  messageId: 'messaging.message.id',
  batchSize: 'messaging.batch.message_count',
  conversationId: 'messaging.message.conversation_id',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  errorType: 'error.type',
  outcome: 'nestjs_messaging.outcome',
  attempt: 'nestjs_messaging.message.attempt',
  reason: 'nestjs_messaging.dead_letter.reason',
  connection: 'nestjs_messaging.connection',
  recurringName: 'nestjs_messaging.recurring.name',
  storeOperation: 'nestjs_messaging.store.operation',
} as const;

/** Seconds, as the conventions recommend for durations of messaging. */
export const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

export interface Metric {
  readonly name: string;
  readonly instrument: 'histogram' | 'counter' | 'gauge' | 'observable counter';
  readonly unit: string;
  readonly description: string;
}

const duration = (name: string, description: string): Metric => ({
  name,
  instrument: 'histogram',
  unit: 's',
  description,
});
const counter = (name: string, description: string): Metric => ({
  name,
  instrument: 'counter',
  unit: '{message}',
  description,
});
const gauge = (name: string, unit: string, description: string): Metric => ({
  name,
  instrument: 'gauge',
  unit,
  description,
});

/** Of a connection. */
export const metric = {
  operationDuration: duration(
    'messaging.client.operation.duration',
    'Duration of messaging operation initiated by a producer or consumer client.',
  ),
  sent: counter('messaging.client.sent.messages', 'Number of messages producer attempted to send to the broker.'),
  consumed: counter('messaging.client.consumed.messages', 'Number of messages that were delivered to the application.'),
  processDuration: duration('messaging.process.duration', 'Duration of processing operation.'),
  requestDuration: duration(
    'nestjs_messaging.request.duration',
    'Duration of a request, from its call to its answer or its failure.',
  ),
  redelivered: counter(
    'nestjs_messaging.consumer.redelivered.messages',
    'Number of messages handed to a handler that were delivered or handled before.',
  ),
  deadLettered: counter(
    'nestjs_messaging.consumer.dead_lettered.messages',
    'Number of messages that their dead-letter queue has confirmed.',
  ),
  dropped: counter(
    'nestjs_messaging.consumer.dropped.messages',
    'Number of messages dropped, because they have no dead-letter queue or by the wish of a handler.',
  ),
  limited: counter(
    'nestjs_messaging.consumer.limited.messages',
    'Number of messages that had to wait until all processes were within a limit.',
  ),
  recurring: {
    ...counter('nestjs_messaging.recurring.times', 'Number of times of recurring messages, by what became of them.'),
    unit: '{time}',
  },
  storeErrors: {
    ...counter('nestjs_messaging.store.errors', 'Number of calls of a store that failed.'),
    unit: '{error}',
  },
  paused: gauge('nestjs_messaging.consumer.paused', '{queue}', '1 where the queue is paused, else 0.'),
  coordinationReachable: gauge(
    'nestjs_messaging.coordination.reachable',
    '{store}',
    '1 where the coordination store answered when it was asked last, else 0.',
  ),
  inFlight: gauge('nestjs_messaging.consumer.in_flight', '{message}', 'Messages in this process, not settled yet.'),
  retryQueueDepth: gauge(
    'nestjs_messaging.publisher.retry_queue.depth',
    '{message}',
    'Messages in the publisher retry queue.',
  ),
  retryQueueBytes: gauge('nestjs_messaging.publisher.retry_queue.size', 'By', 'Bytes in the publisher retry queue.'),
  retryQueueAge: gauge(
    'nestjs_messaging.publisher.retry_queue.oldest_age',
    's',
    'How long the oldest message that is due has waited in the publisher retry queue.',
  ),
  publisherDeadLetters: gauge(
    'nestjs_messaging.publisher.dead_letters',
    '{message}',
    'Messages this process was told to send and cannot.',
  ),
  deadLetterDepth: gauge(
    'nestjs_messaging.dead_letter_queue.depth',
    '{message}',
    'Messages in a dead-letter queue, as counted for health.',
  ),
} as const satisfies Record<string, Metric>;

const requeueCounter = (what: string, description: string): Metric => ({
  name: `nestjs_messaging.requeue.${what}.messages`,
  instrument: 'observable counter',
  unit: '{message}',
  description,
});

/** Of a requeue service, by queue; the names are those of its statistics. */
export const requeueMetric = {
  depth: gauge('nestjs_messaging.requeue.depth', '{message}', 'Messages that wait or are under way.'),
  bytes: gauge('nestjs_messaging.requeue.size', 'By', 'Bytes of the messages that wait or are under way.'),
  inFlight: gauge('nestjs_messaging.requeue.in_flight', '{message}', 'Messages that were sent and not answered yet.'),
  oldestAge: gauge(
    'nestjs_messaging.requeue.oldest_age',
    's',
    'How long the oldest message that is due has waited since it was accepted.',
  ),
  deadLetters: gauge(
    'nestjs_messaging.requeue.dead_letters',
    '{message}',
    'Messages that were given up, and are kept.',
  ),
  accepted: requeueCounter('accepted', 'Number of messages taken.'),
  sent: requeueCounter('sent', 'Number of requests sent to subscribers.'),
  delivered: requeueCounter('delivered', 'Number of messages acknowledged by a subscriber.'),
  noResponders: requeueCounter('unanswerable', 'Number of requests that nobody subscribes to.'),
  timedOut: requeueCounter('timed_out', 'Number of requests without a reply in time.'),
  failed: requeueCounter('failed', 'Number of replies with an error.'),
  deadLettered: requeueCounter('dead_lettered', 'Number of messages given up.'),
} as const satisfies Record<string, Metric>;
