#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/transport-node 3.4.0.
# `max_payload` is lowered by a reload while a client is connected. Guess: the client is told (the server sends INFO on other
# changes), or a publish that is too large is refused by itself. The client goes on with the former limit, and its next larger
# publish costs the connection, with whatever else was on its way.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0

seen=''
for version in '2.9.10 bookworm' '2.10.27 trixie' '2.15 unstable'; do
  nats $version
  kill_broker
  conf=$work/${version% *}.conf
  echo 'max_payload: 65536' >"$conf"
  server+=(-c "$conf")
  boot_nats
  seen+="${version% *}: $(CONF=$conf run <<'JS'
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
const connection = await connect({ servers: process.env.URL, reconnect: false });
const before = connection.info.max_payload;
writeFileSync(process.env.CONF, 'max_payload: 1024\n');
process.kill(Number(process.env.PID), 'SIGHUP');
for (let n = 0; n < 10; n++) {
  await pause(200);
  await connection.flush();
}
const after = connection.info.max_payload;
connection.publish('s', 'x'.repeat(4_096));
const error = await connection.closed();
console.log(`limit ${before}, told ${after}; then closed: ${error instanceof Error}`);
JS
)"$'\n'
done
verdict 'max_payload lowered' "$seen" "$(cat <<'EXPECTED'
2.9.10: limit 65536, told 65536; then closed: true
2.10.27: limit 65536, told 65536; then closed: true
2.15: limit 65536, told 65536; then closed: true
EXPECTED
)"$'\n'
