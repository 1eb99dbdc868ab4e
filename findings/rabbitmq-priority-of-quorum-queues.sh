#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1, a quorum queue without arguments.
# Nine messages with the priorities 1 to 9 wait, and are read. Guess: a quorum queue has no priorities (or needs x-max-priority).
# 3.10 ignores them. 4.0 has two classes, above 4 and the rest, and mixes them two to one. 4.3 is strict by number.
# So a publisher that sets a priority changes the order of consumers who never asked for it, with an upgrade of the broker.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createConfirmChannel();
await channel.assertQueue('q', { arguments: { 'x-queue-type': 'quorum' } });
for (let priority = 1; priority <= 9; priority++) {
  channel.sendToQueue('q', Buffer.from(String(priority)), { priority });
  await channel.waitForConfirms();
}
await channel.prefetch(1);
const order = [];
await new Promise((resolve) =>
  channel.consume('q', (message) => {
    order.push(message.content.toString());
    channel.ack(message);
    if (order.length === 9) resolve();
  }),
);
console.log(order.join(' '));
await channel.close();
await connection.close();
JS
)"$'\n'
done
verdict 'priorities of a plain quorum queue' "$seen" "$(cat <<'EXPECTED'
3.10.8: 1 2 3 4 5 6 7 8 9
4.0.5: 5 6 1 7 8 2 9 3 4
4.3: 9 8 7 6 5 4 3 2 1
EXPECTED
)"$'\n'
