/*
 * What one feature costs: the same side without and with it, in turns. On the instant broker, so that the client's own
 * cost shows; only what the broker itself has to pay for is measured on RabbitMQ.
 */

const compare = (without, withIt, side = 'ours') => [
  { side, ...without },
  { side, ...withIt },
];

const onOff = (options) => compare({ title: 'without' }, { title: 'with', ...options });

const publishing = {
  group: 'Cost of each feature',
  on: 'instant',
  queueType: 'quorum',
  kind: 'publish',
  inFlight: 1_000,
};
const consuming = { ...publishing, kind: 'consume', inFlight: undefined, prefetch: 100 };

const queues = compare(
  { title: 'classic queue', queueType: 'classic' },
  { title: 'quorum queue', queueType: 'quorum' },
);

/** Each of them has room for two batches; a smaller prefetch would be the single handler's handicap. */
const batches = compare({ title: 'one by one' }, { title: 'batches of 100', batch: { size: 100, maxWait: 10 } });
const inBatches = { ...consuming, prefetch: 200, variants: batches };

/** As publishes of requests come: with many in one turn of the event loop there is nothing left to gather. */
const inTurns = {
  ...publishing,
  inTurns: true,
  variants: compare({ title: 'at once' }, { title: 'batching', module: { batching: { messages: 100, maxAge: 5 } } }),
};

const telemetry = [
  { side: 'ours', title: 'without' },
  { side: 'ours', title: 'openTelemetry(), no SDK', telemetry: 'api' },
  { side: 'ours', title: 'openTelemetry(), every message sampled', telemetry: 'sdk' },
];

export const costRows = [
  {
    ...publishing,
    name: 'cost: publisher confirms (raw amqplib: the package always confirms)',
    variants: [
      { side: 'raw', title: 'without', confirms: false, inFlight: 1 },
      { side: 'raw', title: 'with' },
    ],
  },
  {
    ...publishing,
    name: 'cost: mandatory',
    variants: compare(
      { title: "unroutable: 'ignore'", module: { unroutable: 'ignore' } },
      { title: "unroutable: 'reject'", module: { unroutable: 'reject' } },
    ),
  },
  { ...publishing, name: 'cost: order per key, 1,000 keys', variants: onOff({ keys: 1_000 }) },
  { ...publishing, name: 'cost: 5 publish middleware', variants: onOff({ middleware: 5 }) },
  { ...publishing, name: 'cost: a listener of «published»', variants: onOff({ listen: 'published' }) },
  { ...publishing, name: 'cost: telemetry, publish', variants: telemetry },
  { ...consuming, name: 'cost: telemetry, consume', variants: telemetry },
  { ...consuming, name: 'cost: 5 middleware around the handler', variants: onOff({ middleware: 5 }) },
  { ...consuming, name: 'cost: guard, pipe and interceptor', variants: onOff({ enhancers: true }) },
  { ...consuming, name: 'cost: handler timeout', variants: onOff({ subscription: { timeout: 30_000 } }) },
  { ...consuming, name: 'cost: a listener of «settled»', variants: onOff({ listen: 'settled' }) },
  { ...inBatches, name: 'cost: batch handler' },
  { ...inBatches, name: 'cost: batch handler, async', handler: 'async' },
  { ...inBatches, name: 'cost: batch handler, async, RabbitMQ', handler: 'async', on: 'rabbitmq' },
  { ...inTurns, name: 'cost: batching publisher, a publish per turn' },
  { ...inTurns, name: 'cost: batching publisher, a publish per turn, RabbitMQ', on: 'rabbitmq' },
  { ...inTurns, name: 'cost: batching publisher, 1,000 in flight', inTurns: false },
  {
    ...consuming,
    name: 'cost: idempotent',
    variants: [
      { side: 'ours', title: 'without' },
      { side: 'ours', title: 'in memory', idempotent: 'memory' },
      { side: 'ours', title: 'in SQLite', idempotent: 'sqlite' },
    ],
  },
  {
    ...consuming,
    // One that ends at once never makes another wait.
    handler: 'async',
    name: 'cost: partitioned, async handler, 10,000 keys',
    variants: [
      { side: 'ours', title: 'without' },
      ...[1, 8, 64].map((lanes) => ({
        side: 'ours',
        title: `${lanes} lane${lanes > 1 ? 's' : ''}`,
        lanes,
        keys: 10_000,
      })),
    ],
  },
  { ...publishing, name: 'cost: quorum instead of classic, publish, RabbitMQ', on: 'rabbitmq', variants: queues },
  { ...consuming, name: 'cost: quorum instead of classic, consume, RabbitMQ', on: 'rabbitmq', variants: queues },
];
