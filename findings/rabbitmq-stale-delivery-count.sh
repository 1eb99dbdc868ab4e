#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# A message is published with the header `x-delivery-count: 7`: a tool moved it with all the headers it had. Guess: the broker
# overwrites the header at the first delivery, so that a consumer can trust it. Classic queues pass it on for ever, quorum queues since 4.0 at
# the first delivery (`redelivered` is false then), and on 4.3, where a nack does not count, also after a nack.
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
  channel.sendToQueue(type, Buffer.from('x'), { headers: { 'x-delivery-count': 7 } });
  await channel.waitForConfirms();
  const counts = [];
  for (let n = 0; n < 2; n++) {
    let message = false;
    while (!message) message = await channel.get(type);
    counts.push(`${message.properties.headers['x-delivery-count'] ?? '-'} (redelivered ${message.fields.redelivered})`);
    channel.nack(message);
  }
  seen.push(`${type} ${counts.join(', then ')}`);
}
console.log(seen.join('; '));
await connection.close();
JS
)"$'\n'
done
verdict 'a delivery count that a message brings along' "$seen" "$(cat <<'EXPECTED'
3.10.8: classic 7 (redelivered false), then 7 (redelivered true); quorum 0 (redelivered false), then 1 (redelivered true)
4.0.5: classic 7 (redelivered false), then 7 (redelivered true); quorum 7 (redelivered false), then 1 (redelivered true)
4.3: classic 7 (redelivered false), then 7 (redelivered true); quorum 7 (redelivered false), then 7 (redelivered true)
EXPECTED
)"$'\n'
