import { Module } from '@nestjs/common';
import { memory, MessagingModule } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { ParcelsController } from './parcels.controller.js';
import { CARRIERS, ParcelsService } from './parcels.service.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => {
        const { AMQP_URL: url } = process.env;
        return { service: 'parcels', transport: url ? rabbitmq({ url, exchange: 'parcels' }) : memory() };
      },
    }),
    MessagingModule.forRootAsync({
      connection: CARRIERS,
      useFactory: () => {
        const { KAFKA_URL: brokers, KAFKA_TOPIC: topic = 'parcels' } = process.env;
        return { service: 'parcels', transport: brokers ? kafka({ brokers, topic }) : memory() };
      },
    }),
  ],
  controllers: [ParcelsController],
  providers: [ParcelsService],
})
export class ParcelsModule {}
