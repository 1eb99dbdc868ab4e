import { Body, Controller, type DynamicModule, Inject, Module, Post } from '@nestjs/common';
import { MessagingModule, Publisher, fixed } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { SideHandler, WORKSHOP, WorkHandler, type Workshop } from './handler.js';
import { ATTEMPTS, EXCHANGE, ROUTE } from './settings.js';

/** Publishes on request. */
@Controller()
export class PublishController {
  constructor(
    private readonly publisher: Publisher,
    @Inject(WORKSHOP) private readonly workshop: Workshop,
  ) {}

  @Post('publish')
  async publish(@Body() { id }: { id: string }): Promise<{ outcome: string }> {
    const { journal } = this.workshop;
    journal.write({ e: 'attempt', id });
    const { outcome, settled } = await this.publisher.publish(ROUTE, { n: 0, does: 'work' }, { id });
    journal.write({ e: 'receipt', id, outcome });
    if (outcome === 'queued') void settled.then((final) => journal.write({ e: 'settled', id, outcome: final.outcome }));
    return { outcome };
  }
}

/** The application of a worker process. */
@Module({})
export class WorkerModule {
  static with(workshop: Workshop): DynamicModule {
    const { settings } = workshop;
    const { prefetch, handlerTimeout, arguments: queueArguments, role } = settings;
    return {
      module: WorkerModule,
      controllers: [PublishController],
      imports: [
        MessagingModule.forRoot({
          service: 'fault',
          transport: rabbitmq({
            urls: settings.urls,
            exchange: EXCHANGE,
            queueType: settings.queueType,
            heartbeat: settings.heartbeat,
            connectTimeout: 3_000,
            connectionName: settings.name,
          }),
          reconnect: { initial: 50, max: 500 },
          confirmTimeout: settings.confirmTimeout,
          shutdownTimeout: settings.shutdownTimeout,
          unroutable: settings.unroutable,
          retry: { attempts: ATTEMPTS, backoff: fixed(settings.retryMs) },
          retryQueue: { interval: 200, maxMessages: settings.maxQueued },
          consume: role === 'consumer',
          subscriptions: {
            [ROUTE]: {
              prefetch,
              ...(handlerTimeout !== undefined && { timeout: handlerTimeout }),
              ...(queueArguments && { rabbitmq: { arguments: queueArguments } }),
            },
          },
        }),
      ],
      providers: [WorkHandler, ...(settings.side ? [SideHandler] : []), { provide: WORKSHOP, useValue: workshop }],
    };
  }
}
