import { Module } from '@nestjs/common';
import { MessagingModule, memory } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { sqliteTransactionRecords } from 'nestjs-messaging/transaction';
import { MailsService } from './mails.service.js';
import { OrderBook } from './order-book.js';
import { OrdersController } from './orders.controller.js';
import { OrdersService } from './orders.service.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => ({
        service: 'shop',
        transport: process.env.AMQP_URL ? rabbitmq({ url: process.env.AMQP_URL, exchange: 'shop' }) : memory(),
        transactions: {
          store: sqliteTransactionRecords({ file: process.env.RECORDS_FILE ?? './transactions.sqlite' }),
          // Short, so that nobody has to wait for long after a crash.
          timeout: 1_000,
          grace: 500,
          lease: 1_500,
        },
        shutdownTimeout: 2_000,
      }),
    }),
  ],
  controllers: [OrdersController],
  providers: [OrderBook, OrdersService, MailsService],
})
export class AppModule {}
