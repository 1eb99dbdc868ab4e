import { Injectable, Logger } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { type Payment } from './payment.js';

export interface Charge extends Payment {
  readonly id: string;
  /** The handler call that charged the card. */
  readonly call: number;
}

/** Charges cards, which nobody can take back: once per payment, however often its message comes. */
@Injectable()
export class CardService {
  readonly charges: Charge[] = [];
  private readonly logger = new Logger('Card');

  /** The message's id is the payment's, so that a client which asks twice means one payment. */
  @Subscribe('payment.requested', { prefetch: 10, idempotent: true })
  onPaymentRequested(payment: Payment, { id, attempt }: MessageContext): void {
    // Nothing was charged yet: the throw frees the id, and the retry is handled.
    if (payment.card === 'busy' && attempt < 3) throw new Error(`The terminal is busy (call ${attempt})`);
    this.charges.push({ ...payment, id, call: attempt });
    this.logger.log(`Charged ${payment.cents} cents to ${payment.card}`);
  }
}
