#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# An answer is published to the address of direct reply-to (`amq.rabbitmq.reply-to.…`) with `mandatory`. Guess: it is returned
# only if the requester is gone. Until 4.0 it arrives and is returned as unroutable all the same; on 4.3 it
# only arrives.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const requester = await connection.createChannel();
const responder = await connection.createConfirmChannel();
await responder.assertQueue('requests');
let arrived = 0;
let returned = 0;
await requester.consume('amq.rabbitmq.reply-to', () => arrived++, { noAck: true });
responder.on('return', () => returned++);
requester.sendToQueue('requests', Buffer.from('?'), { replyTo: 'amq.rabbitmq.reply-to' });
let request = false;
while (!request) request = await responder.get('requests');
responder.publish('', request.properties.replyTo, Buffer.from('!'), { mandatory: true });
await responder.waitForConfirms();
await new Promise((r) => setTimeout(r, 500));
console.log(`arrived ${arrived}, returned ${returned}`);
await connection.close();
JS
)"$'\n'
done
verdict 'a mandatory answer to direct reply-to' "$seen" "$(cat <<'EXPECTED'
3.10.8: arrived 1, returned 1
4.0.5: arrived 1, returned 1
4.3: arrived 1, returned 0
EXPECTED
)"$'\n'
