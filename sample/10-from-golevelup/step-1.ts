// As it was: golevelup alone.
import { AmqpConnection, RabbitMQModule, RabbitRPC, RabbitSubscribe } from '@golevelup/nestjs-rabbitmq';
import { Injectable, Module } from '@nestjs/common';
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

@Module({ imports: [RabbitMQModule.forRoot(config)], providers: [Orders, Shop] })
export class AppModule {}
