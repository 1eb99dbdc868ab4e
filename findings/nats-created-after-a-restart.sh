#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# Is a consumer still the one that it was, or made anew under its name? `created` should tell. Guess: it never changes.
# 2.9.10 and 2.10.27 tell another one, less than some milliseconds later, after each restart of the server: the time at which they
# wrote the consumer down. Of a stream it stays. 2.15 tells the same again.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

seen=''
for version in '2.9.10 bookworm' '2.10.27 trixie' '2.15 unstable'; do
  nats $version
  run <<'JS'
import { writeFileSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'] });
const created = [];
for (let n = 0; n < 20; n++) {
  await manager.consumers.add('s', { durable_name: `c${n}`, ack_policy: 'explicit' });
  created.push((await manager.consumers.info('s', `c${n}`)).created);
}
created.push((await manager.streams.info('s')).created);
writeFileSync('created.json', JSON.stringify(created));
await connection.close();
JS
  kill_broker
  boot_nats
  seen+="${version% *}: $(run <<'JS'
import { readFileSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const before = JSON.parse(readFileSync('created.json'));
const now = [];
for (let n = 0; n < 20; n++) now.push((await manager.consumers.info('s', `c${n}`)).created);
now.push((await manager.streams.info('s')).created);
const stream = before.pop() === now.pop();
const others = now.filter((time, n) => time !== before[n]);
const near = now.every((time, n) => Math.abs(Date.parse(time) - Date.parse(before[n])) < 1000);
console.log(`consumers: ${others.length > 0 ? 'another time' : 'the same'}${near ? '' : ', far off'}; stream: ${stream ? 'the same' : 'another time'}`);
await connection.close();
JS
)"$'\n'
done
verdict 'the time of creation after a restart' "$seen" "$(cat <<'EXPECTED'
2.9.10: consumers: another time; stream: the same
2.10.27: consumers: another time; stream: the same
2.15: consumers: the same; stream: the same
EXPECTED
)"$'\n'
