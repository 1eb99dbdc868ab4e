#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# An idle process asks for a message, in a request that expires; and asks anew when the server says that it has expired
# (408). Guess: each request ends with a message or with that answer. On 2.9.10 a request can end with neither, when a message
# comes in the very moment in which it expires: who waits for the end of it asks no more, and the message stays where it is.
# 2.10.27 and 2.15 always say so.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

on_each_nats <<'JS'
import { connect, createInbox } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const connection = await connect({ servers: process.env.URL });
const manager = await jetstreamManager(connection);
const js = jetstream(connection);
await manager.streams.add({ name: 's', subjects: ['s.>'], storage: 'memory', retention: 'workqueue' });
const EXPIRES_MS = 30;
/** Many consumers at a time, each with one request and one message that comes as it expires. */
async function withoutEnd(round) {
  const ends = [];
  for (let n = 0; n < 50; n++) {
    const name = `c${round}-${n}`;
    await manager.consumers.add('s', { durable_name: name, ack_policy: 'explicit', filter_subject: `s.${name}` });
    const inbox = createInbox();
    ends.push(
      new Promise((resolve) => {
        connection.subscribe(inbox, { max: 1, callback: () => resolve(0) });
        setTimeout(() => resolve(1), 3000);
        connection.publish(`$JS.API.CONSUMER.MSG.NEXT.s.${name}`, JSON.stringify({ batch: 1, expires: EXPIRES_MS * 1e6 }), { reply: inbox });
        const at = performance.now() + EXPIRES_MS - 1 + (n % 20) / 10;
        setTimeout(() => {
          while (performance.now() < at);
          js.publish(`s.${name}`, 'x').catch(() => {});
        }, EXPIRES_MS - 5);
      }),
    );
    await new Promise((r) => setTimeout(r, EXPIRES_MS + 10));
  }
  return (await Promise.all(ends)).reduce((sum, end) => sum + end);
}
let count = 0;
let round = 0;
while (round < 10 && count === 0) count += await withoutEnd(round++);
console.log(count > 0 ? 'some requests never end' : 'all requests end');
await connection.close();
JS
verdict 'a message that comes as a request expires' "$seen" "$(cat <<'EXPECTED'
2.9.10: some requests never end
2.10.27: all requests end
2.15: all requests end
EXPECTED
)"$'\n'
