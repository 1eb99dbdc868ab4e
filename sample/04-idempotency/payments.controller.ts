import { Body, Controller, Get, Post } from '@nestjs/common';
import { Messaging, Publisher } from 'nestjs-messaging';
import { type Charge, CardService } from './card.service.js';
import { ParsePayment, type PaymentRequest } from './payment.js';

@Controller('payments')
export class PaymentsController {
  constructor(
    private readonly publisher: Publisher,
    private readonly card: CardService,
    private readonly messaging: Messaging,
  ) {}

  /** A client that got no answer asks again, with the same id. */
  @Post()
  async request(@Body(ParsePayment) { id, ...payment }: PaymentRequest): Promise<{ id: string; outcome: string }> {
    const { outcome } = await this.publisher.publish('payment.requested', payment, { id });
    return { id, outcome };
  }

  @Get()
  charged(): { charges: readonly Charge[]; recognised: unknown } {
    const [consumer] = this.messaging.health().consumers;
    return { charges: this.card.charges, recognised: consumer?.idempotency };
  }
}
