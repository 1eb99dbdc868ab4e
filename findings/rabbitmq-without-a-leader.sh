#!/usr/bin/env bash
# RabbitMQ 4.0.5 and 4.3 (Debian), amqplib 2.3.1, three nodes.
# Two of three nodes are killed, so that a quorum queue has no leader; a client is connected to the third. Guess: what concerns the queue
# is answered with an error, at once or soon. Declare and passive declare answer with success, and with the depth of before; get,
# consume and publishes are not answered for 20 s (and longer); nor is the close of a channel that has published.
# So a health check that asks for the queue is content, and only a timeout of the client's own tells.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '4.0.5 trixie' '4.3 unstable'; do
  cluster $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
connection.on('error', () => {});
const open = async () => (await connection.createConfirmChannel()).on('error', () => {});
const declare = (channel) => channel.assertQueue('q', { arguments: { 'x-queue-type': 'quorum', 'x-quorum-initial-group-size': 3 } });
const publish = (channel) => channel.sendToQueue('q', Buffer.from('x'));
const first = await open();
await declare(first);
for (let n = 0; n < 5; n++) publish(first);
await first.waitForConfirms();
await new Promise((r) => setTimeout(r, 5000));
for (const pid of process.env.PIDS.split(' ').slice(1)) process.kill(pid, 'SIGKILL');
await new Promise((r) => setTimeout(r, 15_000));
const questions = {
  declare: async (channel) => (await declare(channel)).messageCount,
  'passive declare': async (channel) => (await channel.checkQueue('q')).messageCount,
  get: (channel) => channel.get('q'),
  consume: (channel) => channel.consume('q', () => {}),
  publish: (channel) => (publish(channel), channel.waitForConfirms()),
  'publish and close': (channel) => (publish(channel), channel.close()),
};
const answers = await Promise.all(
  Object.entries(questions).map(async ([name, ask]) => {
    const channel = await open();
    const silence = new Promise((resolve) => setTimeout(() => resolve('no answer'), 20_000));
    const answer = await Promise.race([ask(channel).then((count) => `ok ${count ?? ''}`, (error) => `error ${error.code}`), silence]);
    return `${name}: ${answer.trim()}`;
  }),
);
console.log(answers.join(', '));
process.exit();
JS
)"$'\n'
done
verdict 'a quorum queue without a leader' "$seen" "$(cat <<'EXPECTED'
4.0.5: declare: ok 5, passive declare: ok 5, get: no answer, consume: no answer, publish: no answer, publish and close: no answer
4.3: declare: ok 5, passive declare: ok 5, get: no answer, consume: no answer, publish: no answer, publish and close: no answer
EXPECTED
)"$'\n'
