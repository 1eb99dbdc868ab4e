import { Module } from '@nestjs/common';
import { memory, MessagingModule } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { QuotesService } from './quotes.service.js';
import { ShopController } from './shop.controller.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => {
        const { AMQP_URL: url, NATS_URL: servers } = process.env;
        const transport = url
          ? rabbitmq({ url, exchange: 'shop' })
          : servers
            ? nats({ servers, stream: 'shop' })
            : memory();
        return { service: 'shop', transport };
      },
    }),
  ],
  controllers: [ShopController],
  providers: [QuotesService],
})
export class AppModule {}
