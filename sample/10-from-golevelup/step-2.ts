// The module is replaced, and all else stays: golevelup's decorators and its AmqpConnection run on this package.
import { AmqpConnection, RabbitRPC, RabbitSubscribe } from '@golevelup/nestjs-rabbitmq';
import { Injectable, Module } from '@nestjs/common';
import { GolevelupCompatModule } from 'nestjs-messaging/compat/golevelup';
import { config, type Order, pack, type Price, priceOf, type Question } from './shop.js';

@Injectable()
export class Orders {
  @RabbitSubscribe({ exchange: 'shop', routingKey: 'order.created', queue: 'shop-orders' })
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
  constructor(private readonly connection: AmqpConnection) {}

  async order(order: Order): Promise<void> {
    await this.connection.publish('shop', 'order.created', order);
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
