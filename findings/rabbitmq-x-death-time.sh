#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# A message is rejected, waits in another queue, comes back, and is rejected again, some seconds later. Guess: `x-death` tells
# when it was dead-lettered last, as its entries are sorted by it. The entry of a queue and a reason counts on, and keeps the time
# of the first.
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
  const to = (queue) => ({ 'x-queue-type': type, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': `${type}-${queue}` });
  await channel.assertQueue(`${type}-work`, { arguments: to('wait') });
  await channel.assertQueue(`${type}-wait`, { arguments: { ...to('work'), 'x-message-ttl': 3000 } });
  channel.sendToQueue(`${type}-work`, Buffer.from('x'), { persistent: true });
  const get = async () => {
    for (;;) {
      const message = await channel.get(`${type}-work`);
      if (message) return message;
      await new Promise((r) => setTimeout(r, 25));
    }
  };
  const times = { rejected: [], expired: [] };
  for (let n = 0; n < 2; n++) {
    const message = await get();
    times.rejected.push(Date.now());
    channel.nack(message, false, false);
  }
  const last = await get();
  times.expired.push(times.rejected[1], Date.now()); // It came back the first time just before it was rejected the second time.
  for (const { reason, count, time } of last.properties.headers['x-death']) {
    const [first, latest] = times[reason].map((at) => Math.abs(at - time.value * 1000));
    seen.push(`${type} ${reason} ${count} times, ${first < latest ? 'the first' : 'the last'} time`);
  }
  channel.ack(last);
}
console.log(seen.sort().join('; '));
await channel.close();
await connection.close();
JS
)"$'\n'
done
verdict 'the time of a death that was not the first' "$seen" "$(cat <<'EXPECTED'
3.10.8: classic expired 2 times, the first time; classic rejected 2 times, the first time; quorum expired 2 times, the first time; quorum rejected 2 times, the first time
4.0.5: classic expired 2 times, the first time; classic rejected 2 times, the first time; quorum expired 2 times, the first time; quorum rejected 2 times, the first time
4.3: classic expired 2 times, the first time; classic rejected 2 times, the first time; quorum expired 2 times, the first time; quorum rejected 2 times, the first time
EXPECTED
)"$'\n'
