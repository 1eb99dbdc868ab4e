#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# An operator deletes durable consumers; the application is told so by the server (an advisory), and makes them again at once. Guess:
# what the server tells is over. It tells before it has removed the files, and then removes those of the new consumer: that one
# answers, delivers, and is gone after the next restart, with what it had not handled. A second later all is well.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

seen=''
for version in '2.9.10 bookworm' '2.10.27 trixie' '2.15 unstable'; do
  nats $version
  run <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const [application, operator] = [await connect({ servers: process.env.URL }), await connect({ servers: process.env.URL })];
const manager = await jetstreamManager(application);
const operatorManager = await jetstreamManager(operator);
const js = jetstream(application);
const subjects = ['s.>'];
await manager.streams.add({ name: 's', subjects, retention: 'interest' });
const add = (name) => manager.consumers.add('s', { durable_name: name, ack_policy: 'explicit' });
const names = (when) => Array.from({ length: 20 }, (_, n) => `${when}-${n}`);
for (const name of [...names('at-once'), ...names('later')]) await add(name);
for (let n = 0; n < 40; n++) await Promise.all(Array.from({ length: 500 }, () => js.publish('s.orders', 'x')));
for (const [when, waitMs] of [['at-once', 0], ['later', 1000]]) {
  for (const name of names(when)) {
    const told = new Promise((callback) => application.subscribe(`$JS.EVENT.ADVISORY.CONSUMER.DELETED.s.${name}`, { max: 1, callback }));
    await application.flush();
    const deleted = operatorManager.consumers.delete('s', name).catch(() => {});
    await told;
    await new Promise((r) => setTimeout(r, waitMs));
    await add(name).catch(() => {}); // Some fail at once, which would be noticed.
    await deleted;
    await manager.consumers.info('s', name).then(() => {}, () => add(name));
  }
}
await application.close();
await operator.close();
JS
  kill_broker
  boot_nats
  seen+="${version% *}: $(run <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const there = { 'at-once': 0, later: 0 };
for await (const { name } of manager.consumers.list('s')) there[name.replace(/-\d+$/, '')]++;
const told = (count) => (count === 20 ? 'all are there' : 'some are gone');
console.log(`made again at once: ${told(there['at-once'])}; a second later: ${told(there.later)}`);
await connection.close();
JS
)"$'\n'
done
verdict 'consumers made again, after a restart' "$seen" "$(cat <<'EXPECTED'
2.9.10: made again at once: some are gone; a second later: all are there
2.10.27: made again at once: some are gone; a second later: all are there
2.15: made again at once: some are gone; a second later: all are there
EXPECTED
)"$'\n'
