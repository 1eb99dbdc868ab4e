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

/**
 * No message makes them end a connection: memory has none, and Kafka and SQS answer with an error. That Kafka refuses such a
 * message alone is shown in test/kafka/client.spec.ts.
 */
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

/** There is no way back past the queues yet. */
const replies = [
  'a reply reaches whoever opened its address, with all it carries, and nobody else',
  'a request that carries an address arrives with it, and many are answered, each once',
  'an address that is none is refused or unroutable, and disturbs nobody',
  'replies are lost with their connection, which is told once, and come again at the address that is told then',
  'opened while disconnected, replies come once there is a connection; a reply fails until then',
  'closed, it does not try to receive replies again: no timer is left',
];

/** What there is they tell by the names of queues: `topology plan` asks by a check. */
const plans = [
  'a plan tells what is missing and makes nothing; applied it is there, and another plan has nothing to do',
  'what the service has made and does not ask for is unmanaged in a plan, and stays with all that is in it',
  'a difference is told by its name, with what is wanted and found; it is changed in place, or what helps is said',
  'a plan rejects while there is no connection, and can be made when it is back',
];

/** A place is written for many messages together, every 20 ms: waiting for it would hold up each of them. */
const acksOfTheirOwn = [
  'the connection falls amid acks: each has an answer, what is confirmed does not come again, nothing is lost',
  'a confirmed ack outlives its connection: the message does not come again',
  'an ack of what is settled or lost is answered with false, and does not reject',
  'each ack is confirmed for itself: what is held beside it, before or after, stays unsettled',
];

/** Nobody counts deliveries. */
const counts = ['the broker counts how often it delivered a message before'];

/** Whoever takes a partition over begins at the first message that is not settled, whoever holds it. */
const sharing = [
  'consumers of one queue share its messages, each message goes to one of them',
  'each of several consumers of a queue has its own prefetch',
  'after stop nothing comes, what came before can still be acked, the rest waits for others',
  'stop(giveBack) gives back all that is unsettled with the end of the intake and tells so, or leaves all of it',
];

/** Kafka knows topics, not what readers want of them: patterns are held against a message when it is read. */
const bindings = [
  'comparing tells every difference of every topology in one error, and makes nothing',
  'the queue of a subscription that was removed is told once, when it fills and nobody consumes it; it is left alone',
  'unbound, a queue gets nothing more by its routes and keeps what it has',
  'a queue that is declared without patterns keeps what others have bound, and takes what is sent by its name',
  'a route that the next process of the service does not declare any more is unbound, and what the queue has stays',
  'declaring with another dead-letter queue is a TopologyMismatchError that names the queue',
  'two sendings of one unroutable message are told apart',
  'unroutable is reported for its own message among many good ones',
];

/** A topic of Kafka and a queue of SQS stay until somebody deletes them. */
const expiry = ['an exclusive queue that nobody consumes goes by itself, and is there again when it is declared'];

/** What goes back to a standard queue of SQS comes again, but not before what is there. */
const oldPlace = 'deliveries under way are reported lost once, cannot be settled any more, and come again';

/** Several polls of a standard queue are under way at a time. */
const order = 'one consumer gets the messages of a queue in the order they were published';

/** An answer that is lost while its connection stays. */
const lostConfirms = [
  'a lost confirm: failed after confirmTimeout, one resend is a duplicate with the same id, never a loss',
  'lost confirms of a batch: each message gets its one result, after the resends nothing is missing',
];

/** SQS neither blocks publishers nor ends connections or consumers; what waits is kept in the queue itself. */
const sqs = [
  ...replies,
  ...expiry,
  oldPlace,
  order,
  ...blocking,
  ...poison,
  ...missingDelays,
  cancelled,
  restart,
  credentials[0],
];

/** Every case of the transport contract that a transport does not run, and nothing else. */
export const skipped = {
  /** The broker lives in the process: it ends with it, has no credentials, and no client but ours. */
  memory: [
    ...retryByCopy,
    ...leases,
    listing,
    ...missingDelays,
    ...credentials,
    restart,
    ...poison,
    ...plainClients,
    ...plans,
  ],
  /** RabbitMQ cancels a consumer where its queue goes away, and that case runs. */
  rabbitmq: [...retryByCopy, ...leases, cancelled],
  /** A server neither blocks publishers nor ends a consumer that stays. */
  nats: [...retryByCopy, ...blocking, cancelled],
  /** A server that others run (TEST_NATS_URL) is not killed, and its password is not known. */
  natsByUrl: [...retryByCopy, ...blocking, cancelled, restart, ...credentials],
  /** As NATS; what waits is in a table beside the queue's own. */
  postgres: [...plans, ...replies, ...retryByCopy, ...blocking, ...missingDelays, cancelled],
  /** A server that others run (TEST_POSTGRES_URL) is not killed, and its password is not known. */
  postgresByUrl: [
    ...plans,
    ...replies,
    ...retryByCopy,
    ...blocking,
    ...missingDelays,
    cancelled,
    restart,
    ...credentials,
  ],
  /** As PostgreSQL; what waits is in a set beside the queue's stream. */
  redis: [...plans, ...replies, ...retryByCopy, ...blocking, ...missingDelays, cancelled],
  /** A server that others run (TEST_REDIS_URL) is not killed, and its password is not known. */
  redisByUrl: [...plans, ...replies, ...retryByCopy, ...blocking, ...missingDelays, cancelled, restart, ...credentials],
  /** A log with places instead of a queue with messages; a broker that neither blocks publishers nor cancels consumers. */
  kafka: [
    ...plans,
    ...expiry,
    ...replies,
    ...acksOfTheirOwn,
    ...counts,
    ...sharing,
    ...bindings,
    ...retryByCopy,
    ...leases,
    ...blocking,
    ...poison,
    listing,
    cancelled,
  ],
  /** The emulators hold everything in memory, so that nothing outlives them, and take any credentials. */
  sqs,
  /** moto ends its connection after each answer. */
  sqsByMoto: [...sqs, ...lostConfirms],
  /** These run on a node of their own instead: an alarm would block all other tests, and so on. */
  onSharedNode: [restart, ...blocking],
  /** A broker that others run (TEST_RABBITMQ_URL) is not made to block, not killed, and gets no users. */
  byUrl: [...blocking, restart, ...credentials],
};
