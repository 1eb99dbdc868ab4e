import type { Delivery } from '../../transport/delivery.js';
import type { Destination, Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { SubscribeHandlers, TransportEnvironment } from '../../transport/transport.js';
import { pauseAfter, RETRY_MS, Undeliverable } from '../../transport/undeliverable.js';
import type { Publisher } from './publisher.js';
import type { RabbitmqDelivery } from './delivery.js';
import { transportHeader } from './names.js';

/**
 * Takes what is due and cannot be routed by the broker alone (delayed publishes to a topic, messages whose queue is
 * gone) and publishes it where it belongs. What nobody takes is delayed again, for ever: nothing vanishes, and nothing
 * stands in the way of others.
 */
export class Forwarder implements SubscribeHandlers {
  readonly undeliverable: Undeliverable<string>;

  constructor(
    private readonly publisher: Publisher,
    private readonly environment: TransportEnvironment,
  ) {
    this.undeliverable = new Undeliverable(environment);
  }

  delivery(delivery: Delivery): void {
    const { message } = delivery;
    const outgoing: Outgoing = {
      to: destinationOf(delivery),
      message: { ...message, route: routeOf(delivery) },
      dedupeId: message.id,
      mandatory: rawHeaders(delivery)[transportHeader.optional] !== true,
    };
    this.publisher.publish([outgoing], (_, result) => this.forwarded(delivery, outgoing, result));
  }

  lost(): void {
    // The broker delivers it again; at worst it is forwarded twice.
  }

  state(): void {
    // Nobody waits for it.
  }

  private forwarded(delivery: Delivery, outgoing: Outgoing, result: PublishResult): void {
    switch (result.status) {
      case 'confirmed':
        if (!this.undeliverable.isEmpty) this.undeliverable.delivered(keyOf(outgoing));
        return delivery.ack();
      case 'unroutable':
      case 'refused':
        return this.delayAgain(delivery, outgoing, result.error.message);
      case 'failed':
        // Where a queue of its route is full, the others get a copy each time: the pauses have to grow.
        if (result.nacked) return this.delayAgain(delivery, outgoing, result.error.message);
        return delivery.release(RETRY_MS);
    }
  }

  private delayAgain(delivery: Delivery, outgoing: Outgoing, reason: string): void {
    const round = roundOf(delivery);
    this.undeliverable.refused(keyOf(outgoing), outgoing.message, reason);
    const headers = { ...outgoing.message.headers, [transportHeader.round]: round + 1 };
    const again: Outgoing = {
      ...outgoing,
      message: { ...outgoing.message, headers },
      dueAt: this.environment.clock.now() + pauseAfter(round),
    };
    this.publisher.publish([again], (_, result) => {
      if (result.status === 'confirmed') delivery.ack();
      else delivery.release(RETRY_MS);
    });
  }
}

function rawHeaders(delivery: Delivery): Readonly<Record<string, unknown>> {
  return (delivery as RabbitmqDelivery).received.properties.headers ?? {};
}

/** Where the message was meant to go before it was delayed. */
function destinationOf(delivery: Delivery): Destination {
  const exchange = rawHeaders(delivery)[transportHeader.targetExchange];
  if (typeof exchange === 'string' && exchange !== '')
    return { kind: 'route', topic: exchange, route: targetKeyOf(delivery) };
  return { kind: 'queue', queue: (delivery as RabbitmqDelivery).received.fields.routingKey };
}

/** The route it had, which for a message to a topic is the key it is published with. */
function routeOf(delivery: Delivery): string {
  return rawHeaders(delivery)[transportHeader.targetExchange] === undefined
    ? delivery.message.route
    : targetKeyOf(delivery);
}

function targetKeyOf(delivery: Delivery): string {
  const key = rawHeaders(delivery)[transportHeader.targetKey];
  return typeof key === 'string' ? key : delivery.message.route;
}

function roundOf(delivery: Delivery): number {
  const round = rawHeaders(delivery)[transportHeader.round];
  return typeof round === 'number' && Number.isInteger(round) && round >= 0 ? round : 0;
}

function keyOf({ message: { id, route } }: Outgoing): string {
  return `${id} ${route}`;
}
