// One handler is moved, and what publishes to it: the queue is the same, and is taken as it is.
import { Injectable, Module } from '@nestjs/common';
import { Publisher, Subscribe } from 'nestjs-messaging';
import { AmqpConnection, GolevelupCompatModule, RabbitRPC } from 'nestjs-messaging/compat/golevelup';
import { config, type Order, pack, type Price, priceOf, type Question } from './shop.js';

@Injectable()
export class Orders {
  @Subscribe('order.created', { topic: 'shop', queue: 'shop-orders', name: 'shop-orders', adopt: true })
  created(order: Order): void {
    pack(order);
  }

  @RabbitRPC({ exchange: 'shop', routingKey: 'price.asked', queue: 'shop-prices' })
  price(question: Question): Price {
    return priceOf(question);
  }
}

@Injectable()
export class Shop {
  constructor(
    private readonly publisher: Publisher,
    private readonly connection: AmqpConnection,
  ) {}

  async order(order: Order): Promise<void> {
    await this.publisher.publish('order.created', order, { topic: 'shop' });
  }

  price(item: string): Promise<Price> {
    return this.connection.request<Price>({ exchange: 'shop', routingKey: 'price.asked', payload: { item } });
  }
}

@Module({
  imports: [
    GolevelupCompatModule.forRoot(config, {
      service: 'shop',
      rabbitmq: { exchange: 'shop' },
      report: process.env.REPORT ?? 'warn',
    }),
  ],
  providers: [Orders, Shop],
})
export class AppModule {}
