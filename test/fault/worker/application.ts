import { Body, Controller, type DynamicModule, Inject, Module, Post, type Type } from '@nestjs/common';
import { MessagingModule, Publisher, type SubscriptionOverride, fixed, partitioned } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { BatchHandler, ReceiveLoops, SideHandler, WorkHandler } from './handler.js';
import { ATTEMPTS, type ConsumerKind, EXCHANGE, PARTITIONS, ROUTE, type WorkerSettings } from './settings.js';
import { WORKSHOP, type Workshop } from './work.js';

const HANDLERS: Readonly<Record<ConsumerKind, Type>> = {
  plain: WorkHandler,
  batch: BatchHandler,
  receive: ReceiveLoops,
  partitions: WorkHandler,
};

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
    const { consumerKind, role } = settings;
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
          subscriptions: { [ROUTE]: optionsOf(settings) },
        }),
      ],
      providers: [
        HANDLERS[consumerKind],
        ...(settings.side ? [SideHandler] : []),
        { provide: WORKSHOP, useValue: workshop },
      ],
    };
  }
}

/** Of the work queue's subscription. */
function optionsOf({
  consumerKind,
  prefetch,
  handlerTimeout,
  arguments: queueArguments,
}: WorkerSettings): SubscriptionOverride {
  const split = consumerKind === 'partitions';
  return {
    prefetch,
    ...(handlerTimeout !== undefined && { timeout: handlerTimeout }),
    ...(split && { concurrency: partitioned() }),
    rabbitmq: { ...(queueArguments && { arguments: queueArguments }), ...(split && { partitions: PARTITIONS }) },
  };
}
