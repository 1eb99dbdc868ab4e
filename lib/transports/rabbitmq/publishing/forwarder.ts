import type { Delivery } from '../../../transport/delivery.js';
import type { Destination, Outgoing } from '../../../transport/outgoing.js';
import type { TransportEnvironment } from '../../../transport/transport.js';
import { pauseAfter, RETRY_MS } from '../../../transport/undeliverable.js';
import { Forwarder } from '../../kit/forwarder.js';
import type { Publisher } from './publisher.js';
import type { RabbitmqDelivery } from '../wire/delivery.js';
import { transportHeader } from '../names.js';

/** What is due and cannot be routed by the broker alone: delayed publishes to a topic, messages whose queue is gone. */
export class RabbitmqForwarder extends Forwarder<string> {
  constructor(
    private readonly publisher: Publisher,
    environment: TransportEnvironment,
  ) {
    super(environment);
  }

  delivery(delivery: Delivery): void {
    const { message } = delivery;
    const route = routeOf(delivery);
    const outgoing: Outgoing = {
      to: destinationOf(delivery),
      message: { ...message, route },
      dedupeId: message.id,
      mandatory: rawHeaders(delivery)[transportHeader.optional] !== true,
    };
    this.publisher.publish([outgoing], (_, result) =>
      this.forwarded(delivery, `${message.id} ${route}`, outgoing, result),
    );
  }

  /** As a copy that is delayed: it does not stand in the way of others. */
  protected again(delivery: Delivery, outgoing: Outgoing): void {
    const round = roundOf(delivery);
    const headers = { ...outgoing.message.headers, [transportHeader.round]: round + 1 };
    const delayed: Outgoing = {
      ...outgoing,
      message: { ...outgoing.message, headers },
      dueAt: this.environment.clock.now() + pauseAfter(round),
    };
    this.publisher.publish([delayed], (_, result) => {
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
