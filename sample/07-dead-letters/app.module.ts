import { Module } from '@nestjs/common';
import { MessagingModule, fixed } from 'nestjs-messaging';
import { Bank } from './bank.service.js';
import { DeadLettersController } from './dead-letters.controller.js';
import { PaymentsController } from './payments.controller.js';
import { PaymentsService } from './payments.service.js';
import { transport } from './transport.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      // Given up after two calls, so that there is something to see.
      useFactory: () => ({ service: 'shop', transport: transport(), retry: { attempts: 2, backoff: fixed(100) } }),
    }),
  ],
  controllers: [PaymentsController, DeadLettersController],
  providers: [Bank, PaymentsService],
})
export class AppModule {}
