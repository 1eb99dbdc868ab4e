import { BadRequestException, Body, ConflictException, Controller, Get, Post } from '@nestjs/common';
import { Outbox, type OutboxHealth } from 'nestjs-messaging/outbox';
import { Database } from './database.js';
import { Order } from './order.entity.js';

const MOST = 100;

@Controller('orders')
export class OrdersController {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  @Post()
  async place(@Body() body: unknown): Promise<Order> {
    const { item, quantity } = (body ?? {}) as Partial<Order>;
    if (typeof item !== 'string' || item === '' || item.length > 100 || !Number.isInteger(quantity) || quantity! < 1)
      throw new BadRequestException('«item» must be a text and «quantity» a whole number above 0');
    return this.database.transaction(async (manager) => {
      const order = await manager.save(manager.create(Order, { item, quantity }));
      await this.outbox.add(manager, 'order.placed', order, { key: item });
      // Too late for a plain publish, which would be on its way by now.
      if (order.quantity > MOST) throw new ConflictException(`At most ${MOST} of an item`);
      return order;
    });
  }

  @Get()
  async all(): Promise<{ orders: Order[]; outbox: OutboxHealth }> {
    const orders = await this.database.getRepository(Order).find({ order: { id: 'asc' } });
    return { orders, outbox: this.outbox.health() };
  }
}
