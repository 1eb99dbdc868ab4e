#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# A message of exactly `max_payload` is published, consumed, and published again to another subject with one header (a dead
# letter). Guess: what the server took once it takes again. Headers count as payload: the copy is refused, whatever is left out.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect, headers } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'] });
const js = jetstream(connection);
const limit = connection.info.max_payload;
await js.publish('s.work', new Uint8Array(limit));
const stored = await manager.streams.getMessage('s', { seq: 1 });
const extra = headers();
extra.set('reason', 'x');
const copy = await js.publish('s.dead', stored.data, { headers: extra }).then(() => 'stored', (error) => error.name);
console.log(`limit ${limit}, stored ${stored.data.length}, its copy: ${copy}`);
await connection.close();
JS
verdict 'a copy of the largest message' "$seen" "$(cat <<'EXPECTED'
2.9.10: limit 1048576, stored 1048576, its copy: InvalidArgumentError
2.10.27: limit 1048576, stored 1048576, its copy: InvalidArgumentError
2.15: limit 1048576, stored 1048576, its copy: InvalidArgumentError
EXPECTED
)"$'\n'
