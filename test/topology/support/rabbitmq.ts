import { connect, type Channel } from 'amqplib';
import type { RabbitBroker } from '../../brokers/rabbitmq.js';
import { binary } from '../../brokers/rabbitmq/erlang.js';

/** Everything that is declared in a virtual host, as the broker itself tells it. */
export async function listing({ node }: RabbitBroker, url: string): Promise<string> {
  const vhost = binary(decodeURIComponent(new URL(url).pathname.slice(1)));
  return node!
    .eval(`{lists:sort([{amqqueue:get_name(Q), lists:sort(amqqueue:get_arguments(Q))} || Q <- rabbit_amqqueue:list(${vhost})]),
    lists:sort([element(2, X) || X <- rabbit_exchange:list(${vhost})]), lists:sort(rabbit_binding:list(${vhost}))}`);
}

/** A plain client. */
export async function onChannel<T>(url: string, work: (channel: Channel) => Promise<T>): Promise<T> {
  const connection = await connect(url);
  connection.on('error', () => {});
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    return await work(channel);
  } finally {
    await connection.close().catch(() => {});
  }
}
