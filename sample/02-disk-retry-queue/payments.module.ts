import { Module } from '@nestjs/common';
import { MessagingModule, diskRetryQueue } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { LedgerService } from './ledger.service.js';
import { PaymentsController } from './payments.controller.js';
import { QueueController } from './queue.controller.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => {
        const { AMQP_URL: url = 'amqp://guest:guest@localhost:5672', QUEUE_DIRECTORY: directory = './.data/payments' } =
          process.env;
        return {
          service: 'payments',
          transport: rabbitmq({ url, exchange: 'payments' }),
          // Bounds the disk: a long outage may fill it with so many messages or bytes.
          retryQueue: { store: diskRetryQueue({ directory }), maxMessages: 1_000_000, maxBytes: 2 ** 30 },
        };
      },
    }),
  ],
  controllers: [PaymentsController, QueueController],
  providers: [LedgerService],
})
export class PaymentsModule {}
