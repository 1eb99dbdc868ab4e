#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# A stream with `discard: new` holds ten messages that nobody has acknowledged, and its limit is lowered below that. Guess: it
# takes nothing new until it is below its limit. Before 2.10 the server deletes the oldest, as if it discarded the old ones.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const js = jetstream(connection);
const told = [];
for (const retention of ['limits', 'interest', 'workqueue']) {
  for (const limit of ['max_msgs', 'max_bytes']) {
    const name = `${retention}-${limit}`;
    await manager.streams.add({ name, subjects: [name], retention, discard: 'new' });
    await manager.consumers.add(name, { durable_name: 'c', ack_policy: 'explicit' });
    for (let n = 0; n < 10; n++) await js.publish(name, 'x'.repeat(100));
    await manager.streams.update(name, { [limit]: limit === 'max_msgs' ? 3 : 500 });
    const { state } = await manager.streams.info(name);
    told.push(`${name} ${state.messages}`);
  }
}
console.log(told.join(', '));
await connection.close();
JS
verdict 'a limit lowered below what is stored' "$seen" "$(cat <<'EXPECTED'
2.9.10: limits-max_msgs 3, limits-max_bytes 3, interest-max_msgs 3, interest-max_bytes 3, workqueue-max_msgs 3, workqueue-max_bytes 3
2.10.27: limits-max_msgs 10, limits-max_bytes 10, interest-max_msgs 10, interest-max_bytes 10, workqueue-max_msgs 10, workqueue-max_bytes 10
2.15: limits-max_msgs 10, limits-max_bytes 10, interest-max_msgs 10, interest-max_bytes 10, workqueue-max_msgs 10, workqueue-max_bytes 10
EXPECTED
)"$'\n'
