import { Module } from '@nestjs/common';
import { MessagingModule, memory, type TransportFactory } from 'nestjs-messaging';
import { OutboxModule } from 'nestjs-messaging/outbox';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { Database, databaseUrl } from './database.js';
import { OrdersController } from './orders.controller.js';
import { WarehouseService } from './warehouse.service.js';

/** RabbitMQ where AMQP_URL is set, else the embedded broker. */
function transport({ AMQP_URL }: NodeJS.ProcessEnv): TransportFactory {
  return AMQP_URL ? rabbitmq({ url: AMQP_URL, exchange: 'shop' }) : memory();
}

@Module({
  imports: [
    MessagingModule.forRootAsync({ useFactory: () => ({ service: 'shop', transport: transport(process.env) }) }),
    OutboxModule.forRootAsync({ useFactory: () => ({ url: databaseUrl() }) }),
  ],
  controllers: [OrdersController],
  providers: [Database, WarehouseService],
})
export class OrdersModule {}
