import { Body, Controller, Get, Post } from '@nestjs/common';
import { Publisher } from 'nestjs-messaging';
import { LedgerService, type Booking } from './ledger.service.js';
import { type Payment, ParsePayment } from './payment.js';

@Controller('payments')
export class PaymentsController {
  constructor(
    private readonly publisher: Publisher,
    private readonly ledger: LedgerService,
  ) {}

  /** `queued`, `stored: 'disk'`: the broker is away, and the payment survives the end of this process. */
  @Post()
  async receive(@Body(ParsePayment) payment: Payment): Promise<{ id: string; outcome: string; stored?: string }> {
    // Payments of one account are booked in the order they came.
    const { id, outcome, stored } = await this.publisher.publish('payment.received', payment, { key: payment.account });
    return { id, outcome, stored };
  }

  @Get()
  booked(): Booking[] {
    return this.ledger.all();
  }
}
