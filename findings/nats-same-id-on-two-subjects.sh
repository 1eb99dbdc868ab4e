#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# Two different messages with one `Nats-Msg-Id` go to two subjects of a stream. Guess: the id is compared per subject, or the
# second publish fails. The id is compared over the whole stream; the second is answered with success (and `duplicate`), and its
# body is nowhere.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'] });
const js = jetstream(connection);
const first = await js.publish('s.orders', 'one', { msgID: 'x' });
const second = await js.publish('s.invoices', 'two', { msgID: 'x' });
const { state } = await manager.streams.info('s');
console.log(`duplicate: ${first.duplicate}, ${second.duplicate}; stored: ${state.messages}`);
await connection.close();
JS
verdict 'one id on two subjects' "$seen" "$(cat <<'EXPECTED'
2.9.10: duplicate: false, true; stored: 1
2.10.27: duplicate: false, true; stored: 1
2.15: duplicate: false, true; stored: 1
EXPECTED
)"$'\n'
