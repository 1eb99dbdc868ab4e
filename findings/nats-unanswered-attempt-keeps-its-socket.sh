#!/usr/bin/env bash
# @nats-io/transport-node 3.4.0.
# A server takes connections and says nothing. Guess: an attempt that ended with its `timeout` has closed its socket. The socket
# stays open: who tries again gathers one each time, and the process does not end by itself.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0

seen=$(run <<'JS'
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
let open = 0;
const server = createServer((socket) => {
  open++;
  socket.on('error', () => {}).on('close', () => open--).resume();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const servers = `nats://127.0.0.1:${server.address().port}`;
const ends = [];
for (let n = 0; n < 3; n++) await connect({ servers, timeout: 300, reconnect: false }).catch((error) => ends.push(error.message));
await pause(2_000);
console.log(`${ends.join(', ')}; sockets open two seconds later: ${open}`);
process.exit(0);
JS
)
verdict 'attempts that nobody answers' "$seen" 'timeout, timeout, timeout; sockets open two seconds later: 3'
