// An application as a compiler leaves it; without decorators, which Node does not read.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { MessagingModule, Subscribe } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';

class Orders {
  created() {}
}
Subscribe('order.created', {})(
  Orders.prototype,
  'created',
  Object.getOwnPropertyDescriptor(Orders.prototype, 'created'),
);

export class AppModule {}
Module({
  imports: [
    MessagingModule.forRoot({
      service: 'shop',
      transport: rabbitmq({
        url: process.env.SHOP_BROKER ?? 'amqp://localhost',
        ...(process.env.SHOP_MANAGEMENT && { management: process.env.SHOP_MANAGEMENT }),
      }),
    }),
  ],
  providers: [Orders],
})(AppModule);
