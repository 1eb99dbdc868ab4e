#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1, quorum queues with at-least-once dead-lettering.
# A message has waited in a queue with a time to live; the queue it goes on to is full, and has room three seconds later.
# Guess: it comes then, or at the next try some seconds later, and before what is sent after it.
# It comes three to six minutes later (`dead_letter_worker_publisher_confirm_timeout`), long after the next one.
# Takes up to six minutes.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

urls=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  urls+="${version% *} $URL "
done
seen=$(URLS=$urls run <<'JS'
import { connect } from 'amqplib';
import { setTimeout as pause } from 'node:timers/promises';
const quorum = { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' };
const onward = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'target', 'x-dead-letter-strategy': 'at-least-once' };

async function look(version, url) {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  const send = (queue, text) =>
    new Promise((resolve) => channel.sendToQueue(queue, Buffer.from(text), {}, (error) => resolve(!error)));
  await channel.assertQueue('target', { arguments: { ...quorum, 'x-max-length': 1 } });
  await channel.assertQueue('waiting', { arguments: { ...quorum, ...onward, 'x-message-ttl': 500 } });
  while (await send('target', 'full'));
  await send('waiting', 'late');
  await pause(3_000);
  await channel.purgeQueue('target');
  const room = Date.now();
  await send('waiting', 'next');
  const came = [];
  await new Promise((resolve) =>
    channel.consume('target', (message) => {
      channel.ack(message);
      came.push(message.content.toString());
      if (came.includes('late')) resolve();
    }),
  );
  const minutes = (Date.now() - room) / 60_000;
  await connection.close();
  return `${version}: ${came.join(', ')}; ${minutes > 2.8 && minutes < 6.5 ? 'after three to six minutes' : `after ${minutes} minutes`}`;
}

const nodes = process.env.URLS.trim().split(' ');
const all = [0, 2, 4].map((at) => look(nodes[at], nodes[at + 1]));
console.log((await Promise.all(all)).join('\n'));
JS
)
verdict 'a message that was refused when due' "$seen" "$(cat <<'EXPECTED'
3.10.8: next, late; after three to six minutes
4.0.5: next, late; after three to six minutes
4.3: next, late; after three to six minutes
EXPECTED
)"
