#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# Does anybody consume? `num_waiting` of a pull consumer counts the requests that wait. Guess: it is above zero while a process
# consumes, as the count of consumers of a RabbitMQ queue is. A process that works on all it may hold asks for nothing: it is 0
# then, and only `num_ack_pending` tells of it. An idle one is counted.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'] });
await manager.consumers.add('s', { durable_name: 'c', ack_policy: 'explicit' });
const consumer = await jetstream(connection).consumers.get('s', 'c');
const look = async () => {
  const { num_waiting: waiting, num_ack_pending: held } = await manager.consumers.info('s', 'c');
  return `${waiting} waiting, ${held} held`;
};
// A process that handles one message at a time.
const next = consumer.next({ expires: 30_000 });
await connection.flush();
const idle = await look();
await jetstream(connection).publish('s.orders', 'x');
const message = await next;
console.log(`idle: ${idle}; busy: ${await look()}`);
message.ack();
await connection.close();
JS
verdict 'num_waiting of a pull consumer' "$seen" "$(cat <<'EXPECTED'
2.9.10: idle: 1 waiting, 0 held; busy: 0 waiting, 1 held
2.10.27: idle: 1 waiting, 0 held; busy: 0 waiting, 1 held
2.15: idle: 1 waiting, 0 held; busy: 0 waiting, 1 held
EXPECTED
)"$'\n'
