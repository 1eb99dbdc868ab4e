import type { Shown } from './measured-faults.js';

export const TRANSPORTS = ['rabbitmq', 'nats', 'postgres', 'redis', 'kafka', 'sqs', 'memory'] as const;
export type TransportName = (typeof TRANSPORTS)[number];

/** Where a fault is shown; or why it is not, or cannot happen. */
export type FaultCell = readonly Shown[] | { readonly absent: string };

export interface TransportFault {
  readonly fault: string;
  readonly shown: Readonly<Record<TransportName, FaultCell>>;
}

const at = (file: string, ...names: string[]): Shown[] => names.map((name) => ({ file: `test/${file}.spec.ts`, name }));
const cells = (...names: string[]): Shown[] => names.map((name) => ({ name }));
const contract = (transport: TransportName, name: string): Shown[] => at(`contract/${transport}.contract`, name);
const notShown = (why?: string): FaultCell => ({ absent: why === undefined ? 'not shown' : `not shown: ${why}` });
const not = (why: string): FaultCell => ({ absent: `does not apply: ${why}` });

const cutSqs = at(
  'sqs/faults',
  'loses nothing of what it confirmed while requests are cut, answers lost and entries refused',
);
const ends = 'it ends with its process';
const refused =
  'a message over which the broker ends the connection is refused; all that was sent with it is confirmed';
const unreachable = 'connect to an unreachable broker resolves and connects when it can be reached';
const again = 'the connection falls again and again in the middle of its recovery';
const deleted = 'a subscription comes back after its queue was deleted, with queue, bindings and prefetch';
const extended = 'a delivery that is extended stays ours beyond its lease, and is settled then';

/** What the matrix does on RabbitMQ, and what comes nearest to it on every other transport. */
export const transportFaults: readonly TransportFault[] = [
  {
    fault: 'The broker is killed under load, and started again on its data',
    shown: {
      rabbitmq: cells('broker-killed'),
      nats: at('nats/faults', 'the server is killed and started again'),
      postgres: at('postgres/faults', 'the server is killed and started again'),
      redis: at('redis/faults', 'the server is killed and started again'),
      kafka: at('kafka/faults', 'the broker is killed and started again'),
      sqs: notShown('the emulators keep nothing when they are killed'),
      memory: not(ends),
    },
  },
  {
    fault: 'Connections are cut',
    shown: {
      rabbitmq: cells('abrupt-loss', 'mid-frame'),
      nats: at('nats/faults', 'the connection is cut'),
      postgres: at('postgres/faults', 'connections are cut', 'one backend at a time is killed'),
      redis: at('redis/faults', 'connections are cut', 'each client is killed, again and again'),
      kafka: at('kafka/faults', 'every connection is cut, again and again'),
      sqs: cutSqs,
      memory: at('unit/memory/faults', 'takes unsettled deliveries away, and brings them again after the reconnect'),
    },
  },
  {
    fault: 'The connection falls again while it comes back',
    shown: {
      rabbitmq: cells('second-fall'),
      nats: contract('nats', again),
      postgres: contract('postgres', again),
      redis: contract('redis', again),
      kafka: contract('kafka', again),
      sqs: contract('sqs', again),
      memory: contract('memory', again),
    },
  },
  {
    fault: 'The broker hangs, with its sockets open',
    shown: {
      rabbitmq: cells('hung-broker'),
      nats: at('nats/faults', 'the server hangs for longer than pings are waited for'),
      postgres: notShown(),
      redis: at(
        'redis/faults',
        'its connections are half-open',
        'the server pauses its clients for longer than a confirm',
      ),
      kafka: at(
        'kafka/faults',
        'the broker hangs for longer than a confirm is waited for',
        'connections are half open',
      ),
      sqs: notShown(),
      memory: at('unit/memory/faults', 'holds publishes until it goes on, and lets consumers work'),
    },
  },
  {
    fault: 'The answer to a publish is lost',
    shown: {
      rabbitmq: cells('lost-confirms'),
      nats: at('nats/faults', 'acknowledgements are lost'),
      postgres: at('postgres/faults', 'answers are lost'),
      redis: at('redis/faults', 'answers are lost'),
      kafka: at('kafka/faults', 'answers are lost'),
      sqs: cutSqs,
      memory: at(
        'unit/memory/faults',
        'closes the channel after confirmTimeout: all in flight on it fail, on one timer',
      ),
    },
  },
  {
    fault: 'The broker takes nothing more for a while',
    shown: {
      rabbitmq: cells('queue-full', 'memory-alarm', 'disk-alarm'),
      nats: at('nats/faults', 'the stream is full: what it does not take waits at the publisher'),
      postgres: [
        ...at('postgres/faults', 'the server has no connection left, and has some again'),
        ...at('postgres/full-disk-faults', 'the disk of the server is full: it is told, and what waits is stored'),
      ],
      redis: [
        ...at('redis/faults', 'memory is full for a while: what is handled goes on, and what is published waits'),
        ...at(
          'redis/disk-faults',
          'and it takes nothing until there is room',
          'and it ends, and comes back where there is',
        ),
      ],
      kafka: at('kafka/full-disk-faults', 'the disk of the broker is full: it goes down, and comes back'),
      sqs: at('sqs/requests', 'sends nothing more to a busy service before the pause, then what it did not take first'),
      memory: at('unit/memory/queue', 'fails publishes above its bound, and takes them again below'),
    },
  },
  {
    fault: 'The broker is away when the application starts',
    shown: {
      rabbitmq: at('e2e/rabbitmq-boot', 'boots while the broker is down'),
      nats: at('nats/boot', 'boots without a server, and connects when there is one'),
      postgres: contract('postgres', unreachable),
      redis: contract('redis', unreachable),
      kafka: contract('kafka', unreachable),
      sqs: contract('sqs', unreachable),
      memory: contract('memory', unreachable),
    },
  },
  {
    fault: 'Somebody deletes a queue, or what it is kept in',
    shown: {
      rabbitmq: cells('queue-deleted', 'exchange-deleted', 'dlq-deleted', 'delay-level-deleted'),
      nats: at(
        'nats/faults',
        'somebody deletes the consumer of an empty queue',
        'somebody deletes the stream when it is',
      ),
      postgres: contract('postgres', deleted),
      redis: contract('redis', deleted),
      kafka: at('kafka/faults', 'the topic is deleted and made again: what is published from then on is handled'),
      sqs: contract('sqs', deleted),
      memory: at('unit/memory/faults', 'is made again with its bindings and consumed'),
    },
  },
  {
    fault: 'A process gets SIGKILL',
    shown: {
      rabbitmq: cells('publisher-killed', 'consumer-killed'),
      nats: at('e2e/receive-faults', 'A bridge that is killed again and again loses nothing'),
      postgres: notShown('processes that hang, or are cut off, are'),
      redis: notShown('processes that hang, or are cut off, are'),
      kafka: at('kafka/killed', 'costs nothing but its processes: the others are handled'),
      sqs: notShown('a process that ends in order is'),
      memory: not(ends),
    },
  },
  {
    fault: 'A message ends each process that handles it',
    shown: {
      rabbitmq: cells('poison-message'),
      nats: notShown(),
      postgres: notShown(),
      redis: notShown(),
      kafka: not('nobody counts deliveries, so that it comes again for ever'),
      sqs: notShown(),
      memory: at('docs/guarantees', 'a message ends its process again and again'),
    },
  },
  {
    fault: 'A process holds a message for longer than its lease, or the broker allows',
    shown: {
      rabbitmq: at('rabbitmq/faults', 'what is held for longer than the consumer_timeout comes again'),
      nats: contract('nats', extended),
      postgres: at('postgres/lease', 'that a hanging process loses is told it, its late ack does nothing'),
      redis: at('redis/ordering', 'of a process that hangs for longer than its lease go to another'),
      kafka: at('kafka/faults', 'a handler blocks the event loop for longer than the session'),
      sqs: at('sqs/requests', 'deletes again what SQS did not delete, and hides what is held for another lease'),
      memory: not('a delivery is its consumer’s until the connection ends'),
    },
  },
  {
    fault: 'One message is refused: those around it go on',
    shown: {
      rabbitmq: cells('one-too-large'),
      nats: at(
        'nats/closed-connections',
        'because its subject is too long: it is refused, what was sent with it arrives',
      ),
      postgres: contract('postgres', refused),
      redis: contract('redis', refused),
      kafka: at('kafka/client', 'a message that the topic does not take is refused alone'),
      sqs: at('sqs/requests', 'refuses an entry that SQS will never take, and confirms the others'),
      memory: at('unit/memory/publish', 'too large is refused, by the broker or by the client'),
    },
  },
  {
    fault: 'A node of a cluster is killed',
    shown: {
      rabbitmq: cells('leader-killed', 'majority-lost', 'partitions-node-killed'),
      nats: at('nats/cluster', 'nothing is lost when the leader of the stream is killed, and comes back'),
      postgres: notShown('no failover was tried'),
      redis: at('redis/faults', 'the server becomes a replica, and a primary again'),
      kafka: at('kafka/cluster', 'nothing is lost when the coordinator of the group is killed three times'),
      sqs: not('the service has no nodes that a client sees'),
      memory: not(ends),
    },
  },
];
