import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import type * as Amqplib from 'amqplib';
import { MissingPeerError } from '../../errors/configuration-errors.js';

type Loaded = Pick<typeof Amqplib, 'connect'>;

/** The only place that loads amqplib, when the first connection is made: it is an optional peer. */
export async function loadAmqplib(): Promise<Loaded> {
  try {
    // As an ES module it can hide behind `default`, as a CommonJS module it does not.
    const loaded: { connect?: typeof Amqplib.connect; default?: Loaded } = await import('amqplib');
    return loaded.connect ? (loaded as Loaded) : (loaded.default as Loaded);
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    if ((code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') && message?.includes('amqplib')) {
      throw new MissingPeerError('amqplib', '^2', 'The RabbitMQ transport');
    }
    throw error;
  }
}

/** What amqplib keeps inside of a connection and this package needs: there is no public way to end a dead socket. */
interface Internals {
  readonly connection: { readonly stream?: { destroy(error?: Error): void }; readonly blocked?: boolean };
}

/** Ends the connection at once, without a handshake. Its `error` and `close` events follow. */
export function destroySocket(model: ChannelModel, reason: string): void {
  (model as unknown as Internals).connection.stream?.destroy(new Error(reason));
}

/** True when the broker blocked the connection before anybody could listen. */
export function isBlocked(model: ChannelModel): boolean {
  return (model as unknown as Internals).connection.blocked === true;
}

/** An error reported by amqplib, as far as it is needed here. */
export interface AmqpError extends Error {
  /** AMQP reply code (404, 406, …) or Node's (`ECONNREFUSED`, …). */
  readonly code?: number | string;
  /** Class and method that made the broker close the channel. */
  readonly classId?: number;
  readonly methodId?: number;
}

/** Why a channel ended: the broker's error, or undefined when it was closed by us or with its connection. */
export type ChannelEnd = (error: AmqpError | undefined) => void;

export interface ChannelListeners {
  ended: ChannelEnd;
  /** One of our own listeners threw: without this amqplib would end the connection. */
  defect(error: Error): void;
}

export async function openChannel(model: ChannelModel, on: ChannelListeners): Promise<Channel> {
  return watch(await model.createChannel(), on);
}

export async function openConfirmChannel(model: ChannelModel, on: ChannelListeners): Promise<ConfirmChannel> {
  return watch(await model.createConfirmChannel(), on);
}

/** Runs `work` on a channel of its own: a refused operation closes its channel and must not hurt anything else. */
export async function withChannel<T>(model: ChannelModel, work: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await openChannel(model, { ended: () => {}, defect: () => {} });
  try {
    return await work(channel);
  } finally {
    // Without waiting for the answer: nothing depends on it.
    channel.close().catch(() => {});
  }
}

function watch<T extends Channel>(channel: T, on: ChannelListeners): T {
  let failure: AmqpError | undefined;
  channel.on('error', (error: AmqpError) => (failure = error));
  channel.on('close', () => on.ended(failure));
  channel.on('handler-error', (error: Error) => on.defect(error));
  return channel;
}
