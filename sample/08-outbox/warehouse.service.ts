import { Injectable, Logger } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { Outbox } from 'nestjs-messaging/outbox';
import type { EntityManager } from 'typeorm';
import { Database } from './database.js';
import { Order } from './order.entity.js';

/** Reserves what was ordered: once per message, however often that comes. */
@Injectable()
export class WarehouseService {
  private readonly logger = new Logger('Warehouse');

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  @Subscribe('order.placed')
  async onOrderPlaced(order: { id: number }, context: MessageContext): Promise<void> {
    const begin = (work: (manager: EntityManager) => Promise<void>): Promise<void> => this.database.transaction(work);
    await this.outbox.inbox.once(context, begin, async (manager) => {
      await manager.update(Order, order.id, { reserved: true });
      await this.outbox.add(manager, 'order.reserved', { id: order.id });
    });
  }

  @Subscribe('order.reserved')
  onReserved({ id }: { id: number }): void {
    this.logger.log(`Order ${id} is reserved`);
  }
}
