import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { type TransportFactory, memory, MessagingModule, sqliteIdempotencyStore } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { sqliteCoordinationStore } from 'nestjs-messaging/stores';
import { ReportsController } from './reports.controller.js';
import { ReportsService } from './reports.service.js';

/** RabbitMQ where AMQP_URL is set, else the embedded broker. */
function transport({ AMQP_URL }: NodeJS.ProcessEnv): TransportFactory {
  return AMQP_URL ? rabbitmq({ url: AMQP_URL, exchange: 'reports' }) : memory();
}

@Module({
  imports: [
    MessagingModule.forRootAsync({
      useFactory: () => {
        const { REPORTS_FOLDER: folder = tmpdir() } = process.env;
        return {
          service: 'reports',
          transport: transport(process.env),
          coordination: sqliteCoordinationStore({ file: join(folder, 'reports-shared.sqlite') }),
          idempotencyStore: sqliteIdempotencyStore({ file: join(folder, 'reports-written.sqlite') }),
        };
      },
    }),
  ],
  controllers: [ReportsController],
  providers: [ReportsService],
})
export class ReportsModule {}
