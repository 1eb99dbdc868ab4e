import { Body, Controller, Get, Post } from '@nestjs/common';
import { headers } from '@nats-io/transport-node';
import { requestWithRetry, requeueHeaders } from 'nestjs-messaging/requeue';
import { Nats } from './nats.js';
import { Reminders } from './reminders.service.js';

/** The client: it hands a message over for later, and does not care whether anybody can take it then. */
@Controller('orders')
export class OrdersController {
  constructor(
    private readonly nats: Nats,
    private readonly reminders: Reminders,
  ) {}

  @Post()
  async place(@Body() order: { item: string; remindAfter?: number }): Promise<unknown> {
    const how = { delay: order.remindAfter ?? 1_000, attempts: 3, backoff: { type: 'fixed', initial: 200 } } as const;
    const reply = await requestWithRetry(this.nats.connection, 'requeue.orders.remind', JSON.stringify(order), {
      headers: requeueHeaders({ ...how, queue: 'reminders' }, headers()),
    });
    return reply.json();
  }

  @Get()
  all(): readonly unknown[] {
    return this.reminders.all;
  }
}
