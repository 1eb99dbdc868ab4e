/** Retries by `release(delay)` are for transports whose capability `retry` is `redelivery`; these two retry by copy. */
const retryByCopy = [
  'a message released with a delay comes again, and not earlier',
  'a message released with a delay leaves its slot to others meanwhile, and the wait is counted as a delivery',
];

/** Deliveries of these two are ours until their connection ends. */
const leases = [
  'a delivery that is extended stays ours beyond its lease, and is settled then',
  'extending what is settled or lost does nothing',
];

const blocking = [
  'a blocking broker is reported; what is under way waits, is not failed, and is confirmed when unblocked',
  'a blocking broker still delivers',
];

/** A message that stays in the process is read by nobody. */
const poison = [
  'a message over which the broker ends the connection is refused; all that was sent with it is confirmed, and what comes after it',
  'a consumer whose message the broker does not take as a copy to its queue hears so, each time; others go on meanwhile',
  'a consumer whose message the broker does not take as a delayed copy hears so, each time; others go on meanwhile',
  'a consumer whose message the broker does not take as a dead letter hears so, each time; others go on meanwhile',
];

/** What waits is kept in the broker itself. */
const missingDelays = [
  'provision: false where delayed messages have nowhere to wait: who will retry or delay hears so at its declaration, and by name',
  'provision: false where delayed messages have nowhere to wait: a delayed copy fails as one that misses something, and goes once that is there',
  'what delayed messages wait in is made again by who may, when somebody has deleted it',
];

const cancelled = 'a subscription comes back after the broker cancelled its consumer';

const restart =
  'a broker that is killed and started again has what it confirmed: messages, dead letters, delays, consumers';

const credentials = [
  'connect with credentials that the broker refuses rejects, without showing them',
  'neither host nor events nor errors show the credentials',
];

const plainClients = [
  'peer: what a plain client publishes arrives byte for byte, by route and by queue',
  'peer: a message with nothing but a body arrives, with an empty id',
  'peer: a header that tells of earlier deliveries is not the count of the broker',
  'peer: what we publish a plain client reads, byte for byte',
  'peer: a plain client reads a dead letter, byte for byte',
  'peer: foreign headers survive a delayed copy with their types',
];

/** Nobody outside of the process can ask the embedded broker. */
const listing =
  'an operator is told of a queue: what is ready, who consumes, its routes and dead letters, and of none that is not there';

/** Every case of the transport contract that a transport does not run, and nothing else. */
export const skipped = {
  /** The broker lives in the process: it ends with it, has no credentials, and no client but ours. */
  memory: [...retryByCopy, ...leases, listing, ...missingDelays, ...credentials, restart, ...poison, ...plainClients],
  /** RabbitMQ cancels a consumer where its queue goes away, and that case runs. */
  rabbitmq: [...retryByCopy, ...leases, cancelled],
  /** A server neither blocks publishers nor ends a consumer that stays. */
  nats: [...retryByCopy, ...blocking, cancelled],
  /** A server that others run (TEST_NATS_URL) is not killed, and its password is not known. */
  natsByUrl: [...retryByCopy, ...blocking, cancelled, restart, ...credentials],
  /** As NATS; what waits is in a table beside the queue's own. */
  postgres: [...retryByCopy, ...blocking, ...missingDelays, cancelled],
  /** A server that others run (TEST_POSTGRES_URL) is not killed, and its password is not known. */
  postgresByUrl: [...retryByCopy, ...blocking, ...missingDelays, cancelled, restart, ...credentials],
  /** These run on a node of their own instead: an alarm would block all other tests, and so on. */
  onSharedNode: [restart, ...blocking],
  /** A broker that others run (TEST_RABBITMQ_URL) is not made to block, not killed, and gets no users. */
  byUrl: [...blocking, restart, ...credentials],
};
