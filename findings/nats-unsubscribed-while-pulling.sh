#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# A process asks a pull consumer for 5,000 messages that are there, gets the first, and unsubscribes its inbox to stop at once. Guess:
# what it did not get stays with the server, and comes with the next request. The server counts what it sent as delivered,
# though nobody got it: it comes when its lease (`ack_wait`, 30 s by default) is over, and as a redelivery.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect, createInbox } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const js = jetstream(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'], storage: 'memory' });
await manager.consumers.add('s', { durable_name: 'c', ack_policy: 'explicit' });
for (let n = 0; n < 5000; n += 500) await Promise.all(Array.from({ length: 500 }, () => js.publish('s.orders', 'x'.repeat(1000))));
const inbox = createInbox();
let got = 0;
await new Promise((resolve) => {
  const subscription = connection.subscribe(inbox, {
    callback: () => {
      got++;
      subscription.unsubscribe();
      resolve();
    },
  });
  connection.publish('$JS.API.CONSUMER.MSG.NEXT.s.c', JSON.stringify({ batch: 5000, expires: 60e9 }), { reply: inbox });
});
await connection.flush();
const { num_ack_pending: delivered } = await manager.consumers.info('s', 'c');
console.log(`got ${got}, delivered ${delivered > got ? 'more' : delivered}`);
await connection.close();
JS
verdict 'an inbox that is unsubscribed while messages are under way' "$seen" "$(cat <<'EXPECTED'
2.9.10: got 1, delivered more
2.10.27: got 1, delivered more
2.15: got 1, delivered more
EXPECTED
)"$'\n'
