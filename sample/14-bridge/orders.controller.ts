import { BadRequestException, Body, Controller, Get, Post } from '@nestjs/common';
import { BridgeService } from './bridge.service.js';
import { HOPS } from './hops.js';

const MOST = 200;

@Controller('orders')
export class OrdersController {
  constructor(private readonly bridge: BridgeService) {}

  /** Places so many orders on the first broker. */
  @Post()
  async place(@Body() { orders }: { orders?: unknown }): Promise<{ ids: string[] }> {
    if (typeof orders !== 'number' || !Number.isInteger(orders) || orders < 1 || orders > MOST)
      throw new BadRequestException(`«orders» must be a whole number from 1 to ${MOST}`);
    const { publisher } = this.bridge.messagingOf(HOPS[0]);
    const placed = Array.from({ length: orders }, async (_, at) => {
      const customer = `customer-${at % 10}`;
      return publisher.publish('order.placed', { customer }, { key: customer });
    });
    return { ids: (await Promise.all(placed)).map(({ id }) => id) };
  }

  /** How many orders came to each broker, and how often one came again. */
  @Get()
  passed(): Record<string, { orders: number; again: number }> {
    const counts = HOPS.map((hop) => {
      const times = [...this.bridge.passed.get(hop)!.values()];
      return [hop, { orders: times.length, again: times.reduce((sum, one) => sum + one - 1, 0) }];
    });
    return Object.fromEntries(counts) as Record<string, { orders: number; again: number }>;
  }
}
