#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# Of five messages three are got, and given back in the order 3, 1, 2. Guess: the queue is as it was, 1 2 3 4 5.
# A classic queue is. A quorum queue keeps what was given back in the order in which it was given back: since 4.0 ahead of what
# nobody has got yet, on 3.10 behind it.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createConfirmChannel();
const seen = [];
for (const type of ['classic', 'quorum']) {
  await channel.assertQueue(type, { arguments: { 'x-queue-type': type } });
  for (let n = 1; n <= 5; n++) channel.sendToQueue(type, Buffer.from(String(n)));
  await channel.waitForConfirms();
  const got = [];
  while (got.length < 3) {
    const message = await channel.get(type);
    if (message) got.push(message);
  }
  for (const n of [2, 0, 1]) channel.nack(got[n]);
  await new Promise((r) => setTimeout(r, 1000));
  const order = [];
  while (order.length < 5) {
    const message = await channel.get(type);
    if (message) order.push(message.content.toString());
  }
  seen.push(`${type} ${order.join(' ')}`);
}
console.log(seen.join(', '));
await connection.close();
JS
)"$'\n'
done
verdict 'the order of what was given back' "$seen" "$(cat <<'EXPECTED'
3.10.8: classic 1 2 3 4 5, quorum 4 5 3 1 2
4.0.5: classic 1 2 3 4 5, quorum 3 1 2 4 5
4.3: classic 1 2 3 4 5, quorum 3 1 2 4 5
EXPECTED
)"$'\n'
