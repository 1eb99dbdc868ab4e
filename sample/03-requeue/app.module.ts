import { Module } from '@nestjs/common';
import { RequeueModule } from 'nestjs-messaging/requeue';
import { natsProvider, servers } from './nats.js';
import { OrdersController } from './orders.controller.js';
import { Reminders } from './reminders.service.js';
import { RequeueController } from './requeue.controller.js';

@Module({
  imports: [
    // Inside the application here; `npx nestjs-messaging requeue` is the same as a process of its own.
    RequeueModule.forRootAsync({
      useFactory: () => ({ servers: servers(), dataDir: process.env.DATA_DIR ?? './data' }),
    }),
  ],
  controllers: [OrdersController, RequeueController],
  providers: [natsProvider, Reminders],
})
export class AppModule {}
