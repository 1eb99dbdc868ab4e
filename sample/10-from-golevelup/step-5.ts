// All is moved: no golevelup, no stand-in for it.
import { Injectable, Module } from '@nestjs/common';
import { MessagingModule, Publisher, Subscribe } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { request, Requester, Respond } from 'nestjs-messaging/request';
import { type Order, pack, type Price, priceOf, type Question, url } from './shop.js';

const priceAsked = request<Question, Price>('price.asked');

@Injectable()
export class Orders {
  @Subscribe('order.created', { queue: 'shop-orders', name: 'shop-orders', adopt: true })
  created(order: Order): void {
    pack(order);
  }

  @Respond(priceAsked, { queue: 'shop-prices', name: 'shop-prices', adopt: true })
  price(question: Question): Price {
    return priceOf(question);
  }
}

@Injectable()
export class Shop {
  constructor(
    private readonly publisher: Publisher,
    private readonly requester: Requester,
  ) {}

  async order(order: Order): Promise<void> {
    await this.publisher.publish('order.created', order);
  }

  price(item: string): Promise<Price> {
    return this.requester.request(priceAsked, { item });
  }
}

@Module({
  imports: [MessagingModule.forRoot({ service: 'shop', transport: rabbitmq({ url, exchange: 'shop' }) })],
  providers: [Orders, Shop],
})
export class AppModule {}
