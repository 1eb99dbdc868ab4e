import { Module } from '@nestjs/common';
import { type TransportFactory, MessagingModule, fixed, memory } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { AccountsController } from './accounts.controller.js';
import { LedgerService } from './ledger.service.js';

/** RabbitMQ where AMQP_URL is set: several processes share the accounts. Else the embedded broker, in this process. */
function transport({ AMQP_URL }: NodeJS.ProcessEnv): TransportFactory {
  return AMQP_URL ? rabbitmq({ url: AMQP_URL, exchange: 'ledger' }) : memory();
}

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => ({
        service: 'ledger',
        transport: transport(process.env),
        retry: { attempts: 5, backoff: fixed(300) },
      }),
    }),
  ],
  controllers: [AccountsController],
  providers: [LedgerService],
})
export class LedgerModule {}
