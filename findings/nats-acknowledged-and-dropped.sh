#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# A stream with interest retention, and a subject that no consumer filters. Guess: the publish is refused, or the message kept.
# The server acknowledges it with a sequence number like any other, and drops it.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'], retention: 'interest' });
await manager.consumers.add('s', { durable_name: 'c', ack_policy: 'explicit', filter_subject: 's.orders' });
const js = jetstream(connection);
const acks = [await js.publish('s.orders', 'one'), await js.publish('s.invoices', 'two')];
const { state } = await manager.streams.info('s');
console.log(`acknowledged: ${acks.map(({ seq }) => seq).join(', ')}; stored: ${state.messages}`);
await connection.close();
JS
verdict 'a publish that no consumer is interested in' "$seen" "$(cat <<'EXPECTED'
2.9.10: acknowledged: 1, 2; stored: 1
2.10.27: acknowledged: 1, 2; stored: 1
2.15: acknowledged: 1, 2; stored: 1
EXPECTED
)"$'\n'
