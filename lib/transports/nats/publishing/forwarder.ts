import type { ConsumerConfig } from '@nats-io/jetstream';
import type { HeaderValue } from '../../../message/headers.js';
import type { Delivery } from '../../../transport/delivery.js';
import type { Outgoing } from '../../../transport/outgoing.js';
import type { TransportEnvironment } from '../../../transport/transport.js';
import { pauseAfter } from '../../../transport/undeliverable.js';
import { Forwarder } from '../../kit/forwarder.js';
import { deliveryInfo } from '../consuming/ack-subject.js';
import { apiError } from '../connection/broker-errors.js';
import type { NatsDelivery } from '../wire/delivery.js';
import { FORWARDER } from '../topology/delayed-stream.js';
import { delayHeader } from '../wire/encode.js';
import { DEDUPE_HEADER } from '../wire/headers.js';
import { type Link, NANOS_PER_MS } from '../connection/link.js';
import type { Names } from '../names.js';
import type { Publisher } from './publisher.js';

/**
 * What was on its way to a process whose connection fell comes again so late. Short: nothing stays here for long, and
 * what is sent on twice is recognised by its id.
 */
export const FORWARDER_ACK_WAIT_MS = 500;

/**
 * Looks after what is not due yet. The server hands a delayed message out, gets it back with the time that is left, and
 * hands it out again when that is over; then it is published where it belongs. Every application that consumes or delays
 * does so, together: nothing waits for one of them.
 */
export class NatsForwarder extends Forwarder<number> {
  constructor(
    private readonly publisher: Publisher,
    environment: TransportEnvironment,
  ) {
    super(environment);
  }

  delivery(delivery: Delivery): void {
    const {
      [delayHeader.subject]: subject,
      [delayHeader.dueAt]: due,
      [delayHeader.optional]: optional,
      ...headers
    } = delivery.message.headers as Record<string, HeaderValue>;
    const left = Number(due) - this.environment.clock.now();
    // The server's own clock ticks in milliseconds: one more, so that it never comes early.
    if (left > 0) return delivery.release(left + 1);
    if (typeof subject !== 'string') return delivery.ack(); // Nobody could say where to.
    const raw = (delivery as NatsDelivery).received;
    const { sequence } = deliveryInfo(raw);
    const outgoing: Outgoing = {
      to: { kind: 'route', route: delivery.message.route },
      message: { ...delivery.message, headers },
      // Sent on twice, the message is recognised by the server.
      dedupeId: `due ${raw.headers?.get(DEDUPE_HEADER) || sequence}`,
      mandatory: optional === undefined,
    };
    this.publisher.forward(outgoing, subject, (_, result) => this.forwarded(delivery, sequence, outgoing, result));
  }

  protected again(delivery: Delivery): void {
    // The message was handed out once to learn when it is due, and once for each round.
    const rounds = Math.max(0, (delivery.deliveryCount ?? 0) - 1);
    delivery.release(pauseAfter(rounds));
  }
}

/** The consumer that the forwarders of all applications share. */
export async function declareForwarder(link: Link, names: Names, redact: (text: string) => string): Promise<string> {
  const config = {
    durable_name: FORWARDER,
    description: 'nestjs-messaging: sends on what is due',
    ack_policy: 'explicit',
    deliver_policy: 'all',
    ack_wait: FORWARDER_ACK_WAIT_MS * NANOS_PER_MS,
    max_deliver: -1,
    max_ack_pending: -1,
    max_waiting: 4_096,
  };
  try {
    const { created } = await link.manager.consumers
      .info(names.delayed, FORWARDER)
      .catch(() => link.manager.consumers.add(names.delayed, config as Partial<ConsumerConfig>));
    return created;
  } catch (error) {
    throw apiError(error, `the consumer «${FORWARDER}» of the stream «${names.delayed}»`, redact);
  }
}
