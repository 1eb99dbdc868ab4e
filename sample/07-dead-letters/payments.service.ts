import { Injectable } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { Bank } from './bank.service.js';

export interface Payment {
  readonly cents: number;
}

@Injectable()
export class PaymentsService {
  constructor(private readonly bank: Bank) {}

  @Subscribe('payment.due', { name: 'payments' })
  pay({ cents }: Payment, { id }: MessageContext): void {
    this.bank.book(id, cents);
  }
}
