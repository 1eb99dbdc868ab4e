#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# A durable consumer with `inactive_threshold: 1 s` has delivered a message, whose lease is 30 s, and is asked for nothing while
# that is being worked on. Guess: a message that is under way keeps its consumer. Before 2.15 the consumer is deleted after the
# threshold, with what waits behind the message; only in-progress acks (or further requests) keep it.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { setTimeout as pause } from 'node:timers/promises';
import { connect, nanos } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const js = jetstream(connection);
const told = [];
for (const working of [false, true]) {
  const name = `working-${working}`;
  await manager.streams.add({ name, subjects: [name], retention: 'interest' });
  const durable_name = 'c';
  await manager.consumers.add(name, { durable_name, ack_policy: 'explicit', ack_wait: nanos(30_000), inactive_threshold: nanos(1_000) });
  for (let n = 0; n < 3; n++) await js.publish(name, 'x');
  const message = await (await js.consumers.get(name, 'c')).next({ expires: 1_000 });
  for (let n = 0; n < 20; n++) {
    await pause(250);
    if (working) message.working();
  }
  const kept = await manager.consumers.info(name, 'c').then(() => 'kept', () => 'deleted');
  const { state } = await manager.streams.info(name);
  told.push(`${working ? 'in-progress acks' : 'nothing'}: ${kept}, ${state.messages} messages`);
}
console.log(told.join('; '));
await connection.close();
JS
verdict 'a consumer whose message is under way' "$seen" "$(cat <<'EXPECTED'
2.9.10: nothing: deleted, 0 messages; in-progress acks: kept, 3 messages
2.10.27: nothing: deleted, 0 messages; in-progress acks: kept, 3 messages
2.15: nothing: kept, 3 messages; in-progress acks: kept, 3 messages
EXPECTED
)"$'\n'
