import type { Channel } from 'amqplib';

type Arguments = Readonly<Record<string, unknown>>;

/** One thing to exist on the broker: durable, if nothing else is said. */
export type Operation =
  | {
      readonly kind: 'exchange';
      readonly name: string;
      readonly type: string;
      readonly durable?: boolean;
      readonly autoDelete?: boolean;
      readonly internal?: boolean;
      readonly arguments?: Arguments;
      readonly adopted?: boolean;
    }
  | {
      readonly kind: 'queue';
      readonly name: string;
      readonly arguments: Arguments;
      /** Made by somebody else: looked for, and never declared. */
      readonly adopted?: boolean;
      /** Default true. */
      readonly durable?: boolean;
      /** Default false. */
      readonly autoDelete?: boolean;
    }
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
      readonly key?: string;
      readonly arguments: Arguments;
    };

/** Creates the object, or finds it there as wanted. */
export async function perform(channel: Channel, operation: Operation): Promise<void> {
  if ('adopted' in operation && operation.adopted) return check(channel, operation);
  if (operation.kind === 'exchange')
    await channel.assertExchange(operation.name, operation.type, { ...kept(operation), internal: operation.internal });
  if (operation.kind === 'queue') await channel.assertQueue(operation.name, kept(operation));
  if (operation.kind === 'binding')
    await channel.bindQueue(operation.queue, operation.exchange, operation.key, operation.arguments ?? {});
  if (operation.kind === 'exchange-binding')
    await channel.bindExchange(operation.destination, operation.source, operation.key ?? '', operation.arguments);
}

function kept({
  durable = true,
  autoDelete = false,
  arguments: given,
}: Extract<Operation, { kind: 'queue' | 'exchange' }>) {
  return { durable, autoDelete, arguments: given };
}

/** So many channels declare at the same time what does not depend on each other: each waits for every answer. */
const SHARES = 8;

/** One stage after the other, each in shares side by side. */
export async function inStages(
  stages: readonly (readonly Operation[])[],
  run: (share: readonly Operation[]) => Promise<void>,
): Promise<void> {
  for (const stage of stages) {
    const size = Math.ceil(stage.length / SHARES);
    const shares: (readonly Operation[])[] = [];
    for (let from = 0; from < stage.length; from += size) shares.push(stage.slice(from, from + size));
    const failed = (await Promise.allSettled(shares.map(run))).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

/** Only looks whether the object is there. AMQP cannot ask for bindings. */
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
