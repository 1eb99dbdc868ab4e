import { BadRequestException, Body, ConflictException, Controller, Get, Post } from '@nestjs/common';
import { Outbox, type OutboxHealth } from 'nestjs-messaging/outbox';
import { Database } from './database.js';

interface Order {
  readonly id: number;
  readonly item: string;
  readonly quantity: number;
}

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
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<Order>(
        'insert into orders (item, quantity) values ($1, $2) returning id, item, quantity',
        [item, quantity],
      );
      const [order] = rows;
      await this.outbox.add(tx, 'order.placed', order, { key: item });
      // Too late for a plain publish, which would be on its way by now.
      if (order.quantity > MOST) throw new ConflictException(`At most ${MOST} of an item`);
      return order;
    });
  }

  @Get()
  async all(): Promise<{ orders: (Order & { reserved: boolean })[]; outbox: OutboxHealth }> {
    const { rows } = await this.database.pool.query<Order & { reserved: boolean }>('select * from orders order by id');
    return { orders: rows, outbox: this.outbox.health() };
  }
}
