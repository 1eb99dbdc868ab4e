import type { Channel } from 'amqplib';

type Arguments = Readonly<Record<string, unknown>>;

/** One thing to exist on the broker. Everything is durable. */
export type Operation =
  | {
      readonly kind: 'exchange';
      readonly name: string;
      readonly type: 'topic' | 'direct' | 'headers' | 'fanout';
      readonly arguments?: Arguments;
    }
  | { readonly kind: 'queue'; readonly name: string; readonly arguments: Arguments }
  | {
      readonly kind: 'binding';
      readonly queue: string;
      readonly exchange: string;
      readonly key: string;
      readonly arguments?: Arguments;
    }
  | {
      readonly kind: 'exchange-binding';
      readonly destination: string;
      readonly source: string;
      readonly arguments: Arguments;
    };

/** Creates it, or finds it there as wanted. */
export async function perform(channel: Channel, operation: Operation): Promise<void> {
  switch (operation.kind) {
    case 'exchange':
      await channel.assertExchange(operation.name, operation.type, { durable: true, arguments: operation.arguments });
      return;
    case 'queue':
      await channel.assertQueue(operation.name, { durable: true, arguments: operation.arguments });
      return;
    case 'binding':
      await channel.bindQueue(operation.queue, operation.exchange, operation.key, operation.arguments ?? {});
      return;
    case 'exchange-binding':
      await channel.bindExchange(operation.destination, operation.source, '', operation.arguments);
      return;
  }
}

/** Only looks whether it is there. AMQP cannot ask for bindings. */
export async function check(channel: Channel, operation: Operation): Promise<void> {
  if (operation.kind === 'exchange') await channel.checkExchange(operation.name);
  if (operation.kind === 'queue') await channel.checkQueue(operation.name);
}

/** For error messages. */
export function nameOf(operation: Operation): string {
  switch (operation.kind) {
    case 'exchange':
      return `the exchange «${operation.name}»`;
    case 'queue':
      return `the queue «${operation.name}»`;
    case 'binding':
      return `the binding of «${operation.queue}» to «${operation.exchange}»`;
    case 'exchange-binding':
      return `the binding of «${operation.destination}» to «${operation.source}»`;
  }
}
