import { Injectable, Logger } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { Journal } from './journal.js';
import { type Order } from './order.js';

@Injectable()
export class BillingService {
  private readonly logger = new Logger('Billing');

  constructor(private readonly journal: Journal) {}

  /** Queue `shop:billing:queue`. Without a `name` it would be `shop:order.created:queue`. */
  @Subscribe('order.created', { name: 'billing' })
  async onOrderCreated(order: Order, context: MessageContext): Promise<void> {
    this.logger.log(`An invoice for ${order.quantity} × ${order.item}`);
    this.journal.write('billing', order, context);
  }
}
