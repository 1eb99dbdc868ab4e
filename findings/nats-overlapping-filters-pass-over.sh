#!/usr/bin/env bash
# NATS 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# A consumer has two filters that do not overlap, `s.user` and `s.user.>`. Guess: what fits either is delivered. 2.10.27 passes
# over a message where the one filter ends and the other goes on, and does not count it as pending: it is never delivered. 2.15
# delivers all.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

seen=''
for version in '2.10.27 trixie' '2.15 unstable'; do
  nats $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const js = jetstream(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'] });
await manager.consumers.add('s', { durable_name: 'c', ack_policy: 'explicit', filter_subjects: ['s.user', 's.user.>'] });
const subjects = ['s.user', 's.user.a', 's.user.b', 's.user.c', 's.order'];
for (let round = 0; round < 20; round++) for (const subject of subjects) await js.publish(subject, subject);
const consumer = await js.consumers.get('s', 'c');
let got = 0;
for await (const message of await consumer.fetch({ max_messages: 200, expires: 2000 })) {
  got++;
  message.ack();
}
const { num_pending: pending } = await consumer.info();
console.log(`${got === 80 ? 'all came' : 'some never came'}; still pending: ${pending}`);
await connection.close();
JS
)"$'\n'
done
verdict 'filters that part at a wildcard' "$seen" "$(cat <<'EXPECTED'
2.10.27: some never came; still pending: 0
2.15: all came; still pending: 0
EXPECTED
)"$'\n'
