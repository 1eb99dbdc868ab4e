/*
 * Who is measured. `publish`, `consume`, `request` and `answer` are the scripts of its client processes; a `peer` is installed on demand in
 * peers/<peer>. An `envelope` says that what it takes from a queue must be wrapped.
 */

export const sides = {
  'raw-nats': {
    title: 'raw @nats-io',
    publish: 'clients/raw-nats-publish.mjs',
    consume: 'clients/raw-nats-consume.mjs',
  },
  'raw-kafka': {
    title: 'kafkajs, batched',
    publish: 'clients/raw-kafka-publish.mjs',
    consume: 'clients/raw-kafka-consume.mjs',
  },
  'nest-kafka': {
    title: '@nestjs/microservices, Kafka',
    peer: 'nest',
    publish: 'peers/nest/kafka-publish.mjs',
    consume: 'peers/nest/kafka-consume.mjs',
  },
  raw: { title: 'raw amqplib', publish: 'clients/raw-publish.mjs', consume: 'clients/raw-consume.mjs' },
  ours: {
    title: 'nestjs-messaging',
    publish: 'clients/messaging-publish.mjs',
    consume: 'clients/messaging-consume.mjs',
    request: 'clients/messaging-request.mjs',
    answer: 'clients/messaging-answer.mjs',
    embedded: 'clients/embedded.mjs',
  },
  golevelup: {
    title: '@golevelup/nestjs-rabbitmq',
    peer: 'golevelup',
    publish: 'peers/golevelup/publish.mjs',
    consume: 'peers/golevelup/consume.mjs',
    request: 'peers/golevelup/request.mjs',
    answer: 'peers/golevelup/answer.mjs',
  },
  'rabbitmq-client': {
    title: 'rabbitmq-client',
    peer: 'rabbitmq-client',
    publish: 'peers/rabbitmq-client/publish.mjs',
    consume: 'peers/rabbitmq-client/consume.mjs',
  },
  nest: {
    title: '@nestjs/microservices',
    peer: 'nest',
    publish: 'peers/nest/publish.mjs',
    consume: 'peers/nest/consume.mjs',
    request: 'peers/nest/request.mjs',
    answer: 'peers/nest/answer.mjs',
    envelope: true,
  },
};

export const sideNames = Object.keys(sides);

/** Those that speak AMQP. */
export const amqpSideNames = sideNames.filter((side) => !side.endsWith('-nats') && !side.endsWith('-kafka'));

/**
 * Who takes turns in a row, the yardstick first. A row compares whole sides by name, or variants of one, each with a
 * `title` and what it changes in the task.
 */
export function contestantsOf(row, wantedSides) {
  const script = row.kind === 'paced' ? 'consume' : row.kind;
  if (row.variants) {
    return row.variants.map(({ side, title, ...changes }) => ({ ...contestant(side, script), title, ...changes }));
  }
  const asked = wantedSides ? row.sides.concat(row.furtherSides ?? []) : row.sides;
  return asked.filter((side) => !wantedSides || wantedSides.includes(side)).map((side) => contestant(side, script));
}

function contestant(side, script) {
  const { title, peer, envelope, answer, [script]: path } = sides[side];
  return { side, title, peer, envelope, path, ...(script === 'request' && { answer }) };
}
