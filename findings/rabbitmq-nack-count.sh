#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1, a quorum queue with a delivery limit of 2.
# A message is got and nacked with requeue, five times. Guess: `x-delivery-count` rises, and the limit ends the loop.
# Until 4.0 that is so. Since 4.3 a nack does not count any more: `x-acquired-count` rises instead, and the loop goes on beyond
# the limit. (3.10 tells even a count of zero.)
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createConfirmChannel();
await channel.assertQueue('q', { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 2 } });
channel.sendToQueue('q', Buffer.from('x'));
await channel.waitForConfirms();
const seen = [];
for (let n = 0; n < 5; n++) {
  let message = false;
  for (let tries = 0; !message && tries < 50; tries++) message = await channel.get('q');
  if (!message) break;
  const { headers } = message.properties;
  seen.push(`${headers['x-delivery-count'] ?? '-'}/${headers['x-acquired-count'] ?? '-'}`);
  channel.nack(message);
}
console.log(`x-delivery-count/x-acquired-count ${seen.join(' ')}`);
await connection.close();
JS
)"$'\n'
done
verdict 'nacks and the delivery count of a quorum queue' "$seen" "$(cat <<'EXPECTED'
3.10.8: x-delivery-count/x-acquired-count 0/- 1/- 2/-
4.0.5: x-delivery-count/x-acquired-count -/- 1/- 2/-
4.3: x-delivery-count/x-acquired-count -/- -/1 -/2 -/3 -/4
EXPECTED
)"$'\n'
