#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# A stream has the subjects `a.>` and `b.>`. Guess: a consumer may filter by `*.x`, as it may filter by `>`, or leave the filter
# out, and get everything. 2.9.10 refuses a filter that is wider than each of the subjects, unless it is `>` alone.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const js = jetstream(connection);
await manager.streams.add({ name: 's', subjects: ['a.>', 'b.>'] });
for (const subject of ['a.x', 'b.x', 'b.y']) await js.publish(subject, subject);
const seen = [];
for (const filter of [undefined, 'a.>', '>', '*.x']) {
  try {
    await manager.consumers.add('s', { durable_name: 'c', ack_policy: 'none', ...(filter && { filter_subject: filter }) });
    const { num_pending: pending } = await manager.consumers.info('s', 'c');
    seen.push(`${filter ?? 'no filter'} ${pending}`);
    await manager.consumers.delete('s', 'c');
  } catch (error) {
    seen.push(`${filter} refused`);
  }
}
console.log(seen.join(', '));
await connection.close();
JS
verdict 'filters wider than a subject of the stream' "$seen" "$(cat <<'EXPECTED'
2.9.10: no filter 3, a.> 1, > 3, *.x refused
2.10.27: no filter 3, a.> 1, > 3, *.x 2
2.15: no filter 3, a.> 1, > 3, *.x 2
EXPECTED
)"$'\n'
