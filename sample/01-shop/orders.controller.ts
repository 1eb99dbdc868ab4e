import { Body, Controller, Get, Post } from '@nestjs/common';
import { Publisher } from 'nestjs-messaging';
import { Journal, type JournalEntry } from './journal.js';
import { type Order, ParseOrder } from './order.js';

@Controller('orders')
export class OrdersController {
  constructor(
    private readonly publisher: Publisher,
    private readonly journal: Journal,
  ) {}

  /** `confirmed`: the broker has it. `queued`: it waits in the publisher retry queue until the broker is back. */
  @Post()
  async place(@Body(ParseOrder) order: Order): Promise<{ id: string; outcome: string }> {
    const { id, outcome } = await this.publisher.publish('order.created', order);
    return { id, outcome };
  }

  @Get()
  handled(): JournalEntry[] {
    return this.journal.entries();
  }
}
