import { BadRequestException, Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { DeadLetters } from 'nestjs-messaging';
import { InvoicesService } from './invoices.service.js';
import { OrderBook } from './order-book.js';
import { type Order, OrdersService } from './orders.service.js';

const PAPERS = ['good', 'jams', 'torn'];

@Controller()
export class OrdersController {
  constructor(
    private readonly orders: OrdersService,
    private readonly book: OrderBook,
    private readonly printer: InvoicesService,
    private readonly deadLetters: DeadLetters,
  ) {}

  @Post('orders')
  async place(
    @Body() { order, paper = 'good', slow = false }: Record<'order' | 'paper' | 'slow', unknown>,
  ): Promise<{ outcome: string }> {
    if (typeof order !== 'string' || !/^[\w-]{1,64}$/.test(order))
      throw new BadRequestException('«order» must be 1 to 64 letters, digits, - or _');
    if (!PAPERS.includes(paper as string))
      throw new BadRequestException(`«paper» must be one of: ${PAPERS.join(', ')}`);
    const placed = this.orders.place({ order, paper: paper as Order['paper'] }, slow === true);
    return { outcome: await placed.catch((error: Error) => error.message) };
  }

  /** What was given up is tried again, with paper that is good. */
  @Post('dead-letters/retry')
  @HttpCode(200)
  async retry(): Promise<{ allowed: number }> {
    this.printer.mend();
    return { allowed: await this.deadLetters.archive.allowRetry({ all: true }) };
  }

  @Get('orders')
  async state(): Promise<Record<'orders' | 'journal' | 'failures' | 'invoices' | 'deadLetters', readonly string[]>> {
    const { journal, failures, invoices } = this.printer;
    const letters = await this.deadLetters.archive.list();
    const deadLetters = letters.map(({ id, attempts, error }) => `${id}, ${attempts} calls: ${error.message}`);
    return { orders: this.book.orders, journal, failures, invoices, deadLetters };
  }
}
