import { join } from 'node:path';
import { Module } from '@nestjs/common';
import {
  type MessagingModuleOptions,
  MessagingModule,
  fixed,
  memory,
  sqliteDeadLetterArchive,
  sqliteIdempotencyStore,
} from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { sqliteTransactionRecords } from 'nestjs-messaging/transaction';
import { InvoicesService } from './invoices.service.js';
import { OrderBook } from './order-book.js';
import { OrdersController } from './orders.controller.js';
import { OrdersService } from './orders.service.js';

/** RabbitMQ where AMQP_URL is set, NATS where NATS_URL is, else the embedded broker. */
function options({ AMQP_URL, NATS_URL, DATA_FOLDER = '.' }: NodeJS.ProcessEnv): MessagingModuleOptions {
  const file = (name: string): { file: string } => ({ file: join(DATA_FOLDER, name) });
  return {
    service: 'shop',
    transport: AMQP_URL
      ? rabbitmq({ url: AMQP_URL, exchange: 'shop' })
      : NATS_URL
        ? nats({ servers: NATS_URL })
        : memory(),
    reconnect: { initial: 100, max: 1_000 },
    shutdownTimeout: 2_000,
    retry: { attempts: 3, backoff: fixed(1_000) },
    idempotencyStore: sqliteIdempotencyStore(file('handled.sqlite')),
    deadLetters: { archive: sqliteDeadLetterArchive(file('dead-letters.sqlite')), interval: 1_000 },
    // Short, so that nobody has to wait for long for a slow transaction, or after a crash.
    transactions: {
      store: sqliteTransactionRecords(file('transactions.sqlite')),
      timeout: 1_000,
      grace: 500,
      lease: 1_500,
    },
  };
}

@Module({
  imports: [MessagingModule.forRootAsync({ useFactory: () => options(process.env) })],
  controllers: [OrdersController],
  providers: [OrderBook, OrdersService, InvoicesService],
})
export class AppModule {}
