import { BadRequestException, Body, Controller, Get, Post } from '@nestjs/common';
import { MailsService } from './mails.service.js';
import { type Order, OrderBook } from './order-book.js';
import { type Ending, ENDINGS, OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(
    private readonly orders: OrdersService,
    private readonly book: OrderBook,
    private readonly mails: MailsService,
  ) {}

  @Post()
  async create(@Body() body: { item?: unknown; ending?: unknown }): Promise<{ outcome: string }> {
    const { item, ending = 'commits' } = body;
    if (typeof item !== 'string' || item === '') throw new BadRequestException('«item» must be a text');
    if (!ENDINGS.includes(ending as Ending))
      throw new BadRequestException(`«ending» must be one of: ${ENDINGS.join(', ')}`);
    return { outcome: await this.orders.create({ item }, ending as Ending).catch((error: Error) => error.message) };
  }

  @Get()
  state(): { orders: Order[]; mails: readonly string[] } {
    return { orders: Object.values(this.book.all), mails: this.mails.sent };
  }
}
