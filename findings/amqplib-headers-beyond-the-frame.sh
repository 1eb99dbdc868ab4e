#!/usr/bin/env bash
# RabbitMQ 4.0.5 (Debian) with frame_max = 8192 (the least since 4.1; also ?frameMax= in a URL), amqplib 2.3.1.
# A message has 20 kB of headers. Guess: they are split into frames like a body, or `publish` throws. Bodies are split, headers are
# not: the broker answers with 501 and closes the connection, with everything else that is under way on it.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '4.0.5 trixie'; do
  rabbitmq $version 'frame_max = 8192'
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
connection.on('error', (error) => console.log(`connection: ${error.code} ${error.message.split(' ')[4]}`));
const channel = await connection.createConfirmChannel();
channel.on('error', () => {});
await channel.assertQueue('q');
channel.sendToQueue('q', Buffer.alloc(100_000));
await channel.waitForConfirms();
console.log('a body of 100,000 bytes: confirmed');
const ended = new Promise((resolve) => connection.on('close', resolve));
channel.sendToQueue('q', Buffer.from('x'), { headers: { token: 'x'.repeat(20_000) } });
await ended;
JS
)"$'\n'
done
verdict 'headers beyond the negotiated frame' "$seen" "$(cat <<'EXPECTED'
4.0.5: a body of 100,000 bytes: confirmed
connection: 501 with
EXPECTED
)"$'\n'
