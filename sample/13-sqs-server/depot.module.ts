import { Module } from '@nestjs/common';
import { type TransportFactory, MessagingModule, fixed, memory } from 'nestjs-messaging';
import { sqs } from 'nestjs-messaging/sqs';
import { DepotService } from './depot.service.js';
import { ParcelsController } from './parcels.controller.js';

/** SQS where SQS_URL is the endpoint of an emulator, else the embedded broker. */
function transport({ SQS_URL: endpoint }: NodeJS.ProcessEnv): TransportFactory {
  if (!endpoint) return memory();
  const credentials = { accessKeyId: 'emulator', secretAccessKey: 'emulator' };
  return sqs({ endpoint, region: 'us-east-1', waitTime: 1_000, options: { credentials } });
}

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => ({
        service: 'depot',
        transport: transport(process.env),
        // What is published goes in requests of ten; what has waited for a second goes anyway.
        batching: { messages: 10, maxAge: 1_000 },
        retry: { attempts: 5, backoff: fixed(1_000) },
      }),
    }),
  ],
  controllers: [ParcelsController],
  providers: [DepotService],
})
export class DepotModule {}
