import { Module } from '@nestjs/common';
import { MessagingModule, memory } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { ReadingsController } from './readings.controller.js';
import { ReadingsTable } from './readings.table.js';
import { ReadingsWriter } from './readings.writer.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => {
        const { AMQP_URL: url } = process.env;
        return {
          service: 'weather',
          transport: url ? rabbitmq({ url, exchange: 'weather' }) : memory(),
          batching: { messages: 100, maxAge: 5 },
        };
      },
    }),
  ],
  controllers: [ReadingsController],
  providers: [ReadingsTable, ReadingsWriter],
})
export class ReadingsModule {}
