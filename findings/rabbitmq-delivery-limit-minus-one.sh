#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# `x-delivery-limit: -1` is how RabbitMQ 4 spells «without limit». Guess: an older broker refuses the declaration or ignores it.
# 3.10 takes it, and drops the message at its first nack: -1 is less than one.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createConfirmChannel();
await channel.assertQueue('q', { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': -1 } });
channel.sendToQueue('q', Buffer.from('x'));
await channel.waitForConfirms();
channel.nack(await channel.get('q'));
let message = false;
for (let tries = 0; !message && tries < 40; tries++) {
  message = await channel.get('q');
  await new Promise((r) => setTimeout(r, 25));
}
console.log(message ? 'comes again' : 'is gone');
await connection.close();
JS
)"$'\n'
done
verdict 'a delivery limit of -1' "$seen" "$(cat <<'EXPECTED'
3.10.8: is gone
4.0.5: comes again
4.3: comes again
EXPECTED
)"$'\n'
