import { Injectable, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type MessageContext, type Messaging, getMessagingToken } from 'nestjs-messaging';
import { HOPS, type Hop } from './hops.js';

export interface Order {
  readonly customer: string;
}

/** Hands every order on from broker to broker: the same code on each of them. */
@Injectable()
export class BridgeService implements OnModuleInit {
  /** By hop, how often each order came, by its id. */
  readonly passed = new Map<Hop, Map<string, number>>(HOPS.map((hop) => [hop, new Map()]));

  constructor(private readonly modules: ModuleRef) {}

  /** The last first: what is handed on has its queue. */
  async onModuleInit(): Promise<void> {
    for (const hop of [...HOPS].reverse())
      await this.messagingOf(hop).subscribe({ route: 'order.placed' }, (order: Order, context) =>
        this.pass(hop, order, context),
      );
  }

  messagingOf(hop: Hop): Messaging {
    return this.modules.get<Messaging>(getMessagingToken(hop), { strict: false });
  }

  /** Ends well, and so lets the one broker forget the order, when the next has confirmed it: perhaps after it came back. */
  private async pass(hop: Hop, order: Order, { id, route, key }: MessageContext): Promise<void> {
    const orders = this.passed.get(hop)!;
    orders.set(id, (orders.get(id) ?? 0) + 1);
    const next = HOPS[HOPS.indexOf(hop) + 1];
    if (next === undefined) return;
    const { settled } = await this.messagingOf(next).publisher.publish(route, order, { id, key });
    const { outcome } = await settled;
    if (outcome !== 'confirmed') throw new Error(`The order is ${outcome} on ${next}`);
  }
}
