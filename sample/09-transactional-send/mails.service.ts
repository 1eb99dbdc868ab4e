import { Injectable } from '@nestjs/common';
import { Subscribe } from 'nestjs-messaging';
import { type Order } from './order-book.js';

@Injectable()
export class MailsService {
  readonly sent: string[] = [];

  @Subscribe('order.created', { name: 'mails' })
  onOrderCreated({ item }: Order): void {
    this.sent.push(`Thank you for ordering a ${item}`);
  }
}
