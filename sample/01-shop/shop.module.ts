import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { MessagingModule, fixed } from 'nestjs-messaging';
import { MessagingDashboardModule } from 'nestjs-messaging/dashboard';
import { MessagingHealthIndicator } from 'nestjs-messaging/health';
import { BillingService } from './billing.service.js';
import { DeadLettersController } from './dead-letters.controller.js';
import { HealthController } from './health.controller.js';
import { Journal } from './journal.js';
import { OrdersController } from './orders.controller.js';
import { token } from './token.js';
import { transport } from './transport.js';
import { WarehouseService } from './warehouse.service.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      // Short retries, so that there is something to see: three calls, 200 ms apart.
      useFactory: () => ({
        service: 'shop',
        transport: transport(),
        retry: { attempts: 3, backoff: fixed(200) },
      }),
    }),
    MessagingDashboardModule.forRoot({ token, bodies: { redact: ['card'] } }),
    TerminusModule,
  ],
  controllers: [OrdersController, DeadLettersController, HealthController],
  providers: [Journal, BillingService, WarehouseService, MessagingHealthIndicator],
})
export class ShopModule {}
