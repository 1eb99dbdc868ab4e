#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1, consumer_timeout = 2 s (30 min by default), set at run time.
# A handler takes longer than the broker waits for an ack. Guess: the channel is closed with 406, on every queue, as it has been for
# years. On 4.3 a quorum queue cancels the consumer instead (basic.cancel without a reason) and the channel lives: a client that
# reconnects on a closed channel only consumes nothing any more, and says nothing. A classic queue does nothing at all there.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  erlang 'application:set_env(rabbit, consumer_timeout, 2000), application:set_env(rabbit, channel_tick_interval, 500)' >/dev/null
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const seen = [];
for (const type of ['classic', 'quorum']) {
  const connection = await connect(process.env.URL);
  const channel = await connection.createConfirmChannel();
  let error;
  channel.on('error', (e) => (error = e));
  await channel.assertQueue(type, { arguments: { 'x-queue-type': type } });
  channel.sendToQueue(type, Buffer.from('x'), { persistent: true });
  await channel.waitForConfirms();
  const ended = await new Promise((resolve) => {
    channel.on('close', () => resolve(`channel closed with ${error?.code}`));
    channel.consume(type, (message) => message ?? resolve('consumer cancelled, channel open'));
    setTimeout(() => resolve('nothing happens'), 10_000);
  });
  seen.push(`${type}: ${ended}`);
  await connection.close();
}
console.log(seen.join('; '));
JS
)"$'\n'
done
verdict 'a handler that is slower than consumer_timeout' "$seen" "$(cat <<'EXPECTED'
3.10.8: classic: channel closed with 406; quorum: channel closed with 406
4.0.5: classic: channel closed with 406; quorum: channel closed with 406
4.3: classic: nothing happens; quorum: consumer cancelled, channel open
EXPECTED
)"$'\n'
