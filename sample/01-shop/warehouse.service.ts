import { Injectable, Logger } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { Journal } from './journal.js';
import { type Order } from './order.js';

@Injectable()
export class WarehouseService {
  private readonly logger = new Logger('Warehouse');

  constructor(private readonly journal: Journal) {}

  /** Queue `shop:warehouse:queue`; what fails every time ends in `shop:warehouse:dlq`. */
  @Subscribe('order.created', { name: 'warehouse', dlq: true, prefetch: 20 })
  async onOrderCreated(order: Order, context: MessageContext): Promise<void> {
    if (order.item === 'broken') throw new Error(`«${order.item}» cannot be packed (call ${context.attempt})`);
    this.logger.log(`Packed ${order.quantity} × ${order.item}`);
    this.journal.write('warehouse', order, context);
  }
}
