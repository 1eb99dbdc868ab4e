import { Module } from '@nestjs/common';
import { fixed, memory, MessagingModule } from 'nestjs-messaging';
import { redis } from 'nestjs-messaging/redis';
import { PicturesController } from './pictures.controller.js';
import { PicturesService } from './pictures.service.js';

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => {
        const { REDIS_URL: url, REDIS_PREFIX: prefix = 'pictures' } = process.env;
        return {
          service: 'pictures',
          transport: url ? redis({ url, prefix }) : memory(),
          retry: { attempts: 3, backoff: fixed(100) },
        };
      },
    }),
  ],
  controllers: [PicturesController],
  providers: [PicturesService],
})
export class PicturesModule {}
