import { Injectable } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { type Payment } from './payment.js';

export interface Booking extends Payment {
  readonly id: string;
}

const CAPACITY = 1_000;

/** Books payments; the latest ones since the start, in memory. One that comes twice is booked once: it has the same id. */
@Injectable()
export class LedgerService {
  private readonly bookings = new Map<string, Booking>();

  @Subscribe('payment.received', { name: 'ledger' })
  book(payment: Payment, { id }: MessageContext): void {
    this.bookings.set(id, { id, ...payment });
    if (this.bookings.size > CAPACITY) this.bookings.delete(this.bookings.keys().next().value!);
  }

  all(): Booking[] {
    return [...this.bookings.values()];
  }
}
