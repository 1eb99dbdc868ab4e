import type { Duplex } from 'node:stream';
import type { Channel, ChannelModel, ConfirmChannel, Message, Options } from 'amqplib';
import type * as Amqplib from 'amqplib';
import { loadPeer } from '../../../errors/optional-peer.js';
import { answered, type AnswerTimeout } from '../../../clock/answered.js';

type Loaded = Pick<typeof Amqplib, 'connect'>;

const PEER = { name: 'amqplib', range: '^2', neededBy: 'The RabbitMQ transport' };

/** The only place that loads amqplib, when the first connection is made: it is an optional peer. */
export async function loadAmqplib(): Promise<Loaded> {
  // As an ES module it can hide behind `default`, as a CommonJS module it does not.
  const loaded: { connect?: typeof Amqplib.connect; default?: Loaded } = await loadPeer(PEER, () => import('amqplib'));
  return loaded.connect ? (loaded as Loaded) : (loaded.default as Loaded);
}

/** What amqplib keeps inside of a connection and this package needs: there is no public way to end a dead socket. */
interface ConnectionInternals {
  readonly connection: {
    readonly stream?: Duplex;
    readonly blocked?: boolean;
    readonly frameMax?: number;
    readonly serverProperties?: { readonly version?: unknown };
  };
}

/** Whether the broker says that it is of this version or a later one. */
export function isAtLeast(model: ChannelModel, major: number, minor: number): boolean {
  const { version } = (model as unknown as ConnectionInternals).connection.serverProperties ?? {};
  const [, first, second] = /^(\d+)\.(\d+)/.exec(String(version)) ?? [];
  return Number(first) > major || (Number(first) === major && Number(second) >= minor);
}

/** Ends the connection at once, without a handshake. Its `error` and `close` events follow. */
export function destroySocket(model: ChannelModel, reason: string): void {
  (model as unknown as ConnectionInternals).connection.stream?.destroy(new Error(reason));
}

/**
 * amqplib hands every message and every ack to the socket on its own, which is a system call each. From now on what is
 * written in one turn of the event loop leaves together.
 */
export function gatherWrites(model: ChannelModel): void {
  const { stream } = (model as unknown as ConnectionInternals).connection;
  if (!stream) return;
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let gathering = false;
  const leave = (): void => {
    gathering = false;
    stream.uncork();
  };
  stream.write = (...args: unknown[]): boolean => {
    if (!gathering) {
      gathering = true;
      stream.cork();
      process.nextTick(leave);
    }
    return write(...args);
  };
}

/** True when the broker blocked the connection before anybody could listen. */
export function isBlocked(model: ChannelModel): boolean {
  return (model as unknown as ConnectionInternals).connection.blocked === true;
}

/** The largest frame in bytes that was agreed on with the broker. */
export function frameMaxOf(model: ChannelModel): number {
  return (model as unknown as ConnectionInternals).connection.frameMax ?? Infinity;
}

/** The members of a confirm channel that its `publish` is made of. */
interface ConfirmInternals {
  sendMessage(fields: object, properties: object, content: Buffer): boolean;
  pushConfirmCallback(callback: undefined): void;
}

/**
 * `channel.publish` without the copy that it makes of the options: it turns the headers of every message into a
 * prototype, which costs more than all the rest of the encoding. Throws what `publish` throws.
 */
export function publish(
  channel: ConfirmChannel,
  exchange: string,
  routingKey: string,
  body: Buffer,
  options: Options.Publish,
): void {
  const internals = channel as unknown as Partial<ConfirmInternals>;
  if (!internals.sendMessage || !internals.pushConfirmCallback) {
    channel.publish(exchange, routingKey, body, options);
    return;
  }
  const fields = {
    exchange,
    routingKey,
    mandatory: options.mandatory === true,
    immediate: false,
    ticket: undefined,
    contentType: options.contentType,
    contentEncoding: options.contentEncoding,
    headers: (options.headers ?? {}) as object,
    deliveryMode: options.persistent ? 2 : 1,
    priority: options.priority,
    correlationId: options.correlationId,
    replyTo: options.replyTo,
    expiration: options.expiration,
    messageId: options.messageId,
    timestamp: options.timestamp,
    type: options.type,
    userId: undefined,
    appId: options.appId,
    clusterId: undefined,
  };
  internals.sendMessage(fields, fields, body);
  internals.pushConfirmCallback(undefined);
}

/** Acks a delivery by its tag, or everything unsettled on the channel up to it. */
export function ackTag(channel: Channel, tag: number, upTo: boolean): void {
  channel.ack({ fields: { deliveryTag: tag } } as Message, upTo);
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

/**
 * Runs `work` on a channel of its own: a refused operation closes its channel and must not hurt anything else. Nor must
 * one that is never answered (a quorum queue without a leader): it is given up after a while, and its channel with it.
 */
export function withChannel<T>(
  model: ChannelModel,
  bound: AnswerTimeout,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  return withOne(openChannel, model, bound, work);
}

/** The same on a channel whose publishes are confirmed. */
export function withConfirmChannel<T>(
  model: ChannelModel,
  bound: AnswerTimeout,
  work: (channel: ConfirmChannel) => Promise<T>,
): Promise<T> {
  return withOne(openConfirmChannel, model, bound, work);
}

function withOne<C extends Channel, T>(
  open: (model: ChannelModel, on: ChannelListeners) => Promise<C>,
  model: ChannelModel,
  bound: AnswerTimeout,
  work: (channel: C) => Promise<T>,
): Promise<T> {
  let close = (): void => {};
  let given = false;
  const run = async (): Promise<T> => {
    const channel = await open(model, { ended: () => {}, defect: () => {} });
    let closing = false;
    close = () => {
      // Without waiting for the answer: nothing depends on it.
      if (!closing) channel.close().catch(() => {});
      closing = true;
    };
    try {
      if (given) throw new Error('it took too long to open a channel');
      return await work(channel);
    } finally {
      close();
    }
  };
  return answered(run(), bound, () => {
    given = true;
    close();
  });
}

function watch<T extends Channel>(channel: T, on: ChannelListeners): T {
  let failure: AmqpError | undefined;
  channel.on('error', (error: AmqpError) => (failure = error));
  channel.on('close', () => on.ended(failure));
  channel.on('handler-error', (error: Error) => on.defect(error));
  writeDirectly(channel);
  ignoreUnknownConsumers(channel);
  return channel;
}

/**
 * A broker can cancel a consumer twice, or deliver beside that: since 4.3 once for each message that was not settled in
 * time. amqplib would end the connection over it. What came so is given back with its channel.
 */
function ignoreUnknownConsumers(channel: Channel): void {
  interface ConsumerInternals {
    readonly consumers: ReadonlyMap<string, (message: unknown) => void>;
    dispatchMessage(fields: { consumerTag: string }, message: unknown): void;
  }
  const internals = channel as unknown as ConsumerInternals;
  if (internals.consumers === undefined) return;
  internals.dispatchMessage = ({ consumerTag }, message) => internals.consumers.get(consumerTag)?.(message);
}

/** The members of a channel that lead to its socket. */
interface ChannelInternals {
  readonly ch: number;
  readonly connection: {
    readonly stream: Duplex;
    readonly channels: readonly ({ readonly buffer: { write(bytes: Buffer): boolean } } | null)[];
  };
}

/**
 * amqplib leads every frame through two streams that share the socket among channels, one of them a turn of the event loop
 * later. Frames are written whole and in order here, so they can go to the socket at once; it buffers as well as those do.
 */
function writeDirectly(channel: Channel): void {
  const { ch, connection } = channel as unknown as Partial<ChannelInternals>;
  const buffer = ch === undefined ? undefined : connection?.channels?.[ch]?.buffer;
  if (buffer && connection?.stream) buffer.write = (bytes) => connection.stream.write(bytes);
}
