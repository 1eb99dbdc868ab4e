import { costRows } from './cost-rows.mjs';
import { amqpSideNames } from './sides.mjs';

/*
 * What is measured, one row each: `sides` take turns, the first is the yardstick. `on` is the broker.
 */

export const queueTypes = ['classic', 'quorum'];

const FEW = ['raw', 'ours'];
const number = (value) => value.toLocaleString('en');

const publishRows = (where, rest, counts = [1, 100, 1_000]) =>
  counts.map((inFlight) => ({
    name: `publish, ${number(inFlight)} in flight, ${where}`,
    kind: 'publish',
    inFlight,
    ...rest,
  }));

const consumeRows = (where, rest) =>
  [1, 100].map((prefetch) => ({
    name: `consume, prefetch ${prefetch}, ${where}`,
    kind: 'consume',
    prefetch,
    ...rest,
  }));

const asyncRow = (where, rest) => ({
  name: `consume, prefetch 100, async handler, ${where}`,
  kind: 'consume',
  prefetch: 100,
  handler: 'async',
  ...rest,
});

const instant = { group: 'Instant broker', on: 'instant', queueType: 'quorum', sides: amqpSideNames };

const rabbitmq = (queueType) => ({
  group: `RabbitMQ, ${queueType} queue`,
  on: 'rabbitmq',
  queueType,
  // The peers take part where it is the package's default; with --sides everywhere.
  sides: queueType === 'quorum' ? amqpSideNames : FEW,
  furtherSides: amqpSideNames.filter((side) => queueType !== 'quorum' && !FEW.includes(side)),
});

const nats = { group: 'NATS JetStream', on: 'nats', queueType: 'nats', sides: ['raw-nats', 'ours'] };

/** Every record has one of 1,000 keys. Of rows of its own: `npm run bench:kafka`. */
const kafka = {
  group: 'Kafka',
  on: 'kafka',
  queueType: 'kafka',
  sides: ['raw-kafka', 'ours', 'nest-kafka'],
  apart: true,
};

const pacedRow = (queueType) => ({
  ...rabbitmq(queueType),
  name: `consume, 1,000/s, prefetch 100, ${queueType}`,
  kind: 'paced',
  prefetch: 100,
  perSecond: 1_000,
});

/** By turns who asks: the responder is a process of its own. `terms`: what the peers are told, beside the kind of queue. */
const requestRows = [
  { terms: 'quorum', queueType: 'quorum', sent: { persistent: true }, noAck: false },
  { terms: 'classic', queueType: 'classic', sent: { persistent: true }, noAck: false },
  { terms: 'defaults of each', queueType: 'quorum', theirs: 'classic', sent: {}, noAck: true },
].flatMap(({ terms, ...rest }) =>
  [1, 16, 256].map((inFlight) => ({
    name: `request, ${inFlight} in flight, ${terms}`,
    group: 'Requests, RabbitMQ',
    on: 'rabbitmq',
    kind: 'request',
    sides: ['ours', 'golevelup', 'nest'],
    prefetch: 256,
    inFlight,
    ...rest,
  })),
);

export const rows = [
  ...publishRows('instant broker', instant),
  ...consumeRows('instant broker', instant),
  asyncRow('instant broker', instant),
  ...queueTypes.flatMap((queueType) => [
    ...publishRows(queueType, rabbitmq(queueType)),
    ...consumeRows(queueType, rabbitmq(queueType)),
    ...(queueType === 'quorum' ? [asyncRow(queueType, rabbitmq(queueType))] : []),
    pacedRow(queueType),
  ]),
  ...publishRows('nats', nats),
  ...consumeRows('nats', nats),
  ...requestRows,
  ...publishRows('kafka', { ...kafka, keys: 1_000 }),
  ...['', 'partitioned, '].map((how) => ({
    name: `consume, prefetch 1,000, ${how}kafka`,
    kind: 'consume',
    prefetch: 1_000,
    ordered: how !== '',
    ...kafka,
  })),
  ...costRows,
  ...[1, 100].map((inFlight) => ({
    name: `publish and handle, ${inFlight} in flight, embedded broker`,
    group: 'Embedded broker',
    kind: 'embedded',
    sides: ['ours'],
    inFlight,
  })),
];
