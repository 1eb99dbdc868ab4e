import { Module } from '@nestjs/common';
import { MessagingModule } from 'nestjs-messaging';
import { BridgeService } from './bridge.service.js';
import { HOPS, transportOf } from './hops.js';
import { OrdersController } from './orders.controller.js';

@Module({
  imports: HOPS.map((connection) =>
    MessagingModule.forRootAsync({
      connection,
      useFactory: () => ({
        service: 'bridge',
        transport: transportOf(connection, process.env),
        reconnect: { initial: 100, max: 1_000 },
      }),
    }),
  ),
  controllers: [OrdersController],
  providers: [BridgeService],
})
export class BridgeModule {}
