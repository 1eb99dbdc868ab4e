import { Module } from '@nestjs/common';
import { type TransportFactory, MessagingModule, fixed, memory, sqliteIdempotencyStore } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { CardService } from './card.service.js';
import { PaymentsController } from './payments.controller.js';

/** RabbitMQ where AMQP_URL is set, else the embedded broker. */
function transport({ AMQP_URL }: NodeJS.ProcessEnv): TransportFactory {
  return AMQP_URL ? rabbitmq({ url: AMQP_URL, exchange: 'payments' }) : memory();
}

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => ({
        service: 'payments',
        transport: transport(process.env),
        retry: { attempts: 5, backoff: fixed(200) },
        // What was handled is remembered over restarts, and by all processes that use the file.
        idempotencyStore: sqliteIdempotencyStore({ file: process.env.HANDLED_FILE ?? './handled.sqlite' }),
      }),
    }),
  ],
  controllers: [PaymentsController],
  providers: [CardService],
})
export class PaymentsModule {}
