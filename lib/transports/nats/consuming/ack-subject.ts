import type { Msg } from '@nats-io/transport-node';

/** What is in the subject that an ack goes to. */
export interface DeliveryInfo {
  /** How often the server has delivered the message, this time included. */
  readonly count: number;
  /** The number of the message in its stream. */
  readonly sequence: number;
}

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.…`, or with domain and account before the stream. */
export function deliveryInfo({ reply }: Msg): DeliveryInfo {
  const tokens = (reply ?? '').split('.');
  const at = tokens.length === 9 ? 4 : 6;
  return { count: Number(tokens[at]) || 1, sequence: Number(tokens[at + 1]) || 0 };
}
