import type { Channel, ConsumeMessage } from 'amqplib';

/** What becomes of a message whose handler threw. */
export enum MessageHandlerErrorBehavior {
  ACK = 'ACK',
  NACK = 'NACK',
  REQUEUE = 'REQUEUE',
}

type LegacyMessageErrorHandler = (channel: Channel, msg: ConsumeMessage | ConsumeMessage[]) => void;

function each(settle: (channel: Channel, msg: ConsumeMessage) => void): LegacyMessageErrorHandler {
  return (channel, msg) => [msg].flat().forEach((one) => settle(channel, one));
}

export const ackErrorHandler = each((channel, msg) => channel.ack(msg));
export const requeueErrorHandler = each((channel, msg) => channel.nack(msg, false, true));
export const defaultNackErrorHandler = each((channel, msg) => channel.nack(msg, false, false));

export function getHandlerForLegacyBehavior(behavior: MessageHandlerErrorBehavior): LegacyMessageErrorHandler {
  if (behavior === MessageHandlerErrorBehavior.ACK) return ackErrorHandler;
  return behavior === MessageHandlerErrorBehavior.REQUEUE ? requeueErrorHandler : defaultNackErrorHandler;
}

export function defaultAssertQueueErrorHandler(
  _channel: unknown,
  _name: string,
  _options: unknown,
  error: unknown,
): never {
  throw error;
}

/** Returned by a handler: the message is a dead letter; with `requeue`, its call counts as failed and is retried. */
export class Nack {
  constructor(private readonly _requeue = false) {}

  get requeue(): boolean {
    return this._requeue;
  }
}

/** Of any copy of either package. */
export function isNack(value: unknown): value is Nack {
  return (
    typeof value === 'object' &&
    value !== null &&
    value.constructor?.name === 'Nack' &&
    typeof (value as Nack).requeue === 'boolean'
  );
}

/** No reply came in time. */
export class RpcTimeoutError extends Error {
  override readonly name = 'RpcTimeoutError';

  constructor(
    readonly timeout: number,
    readonly exchange: string,
    readonly routingKey: string,
  ) {
    super(`No reply from exchange "${exchange}" with routing key "${routingKey}" within ${timeout} ms`);
  }
}
