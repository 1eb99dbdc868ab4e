// What golevelup's documentation shows, in one application: on its own module, or with STAND_IN=1 on ours. It prints what happened.
import 'reflect-metadata';
import {
  AmqpConnection,
  isRabbitContext,
  MessageHandlerErrorBehavior,
  Nack,
  RABBIT_CONTEXT_TYPE_KEY,
  RabbitHeader,
  RabbitMQModule,
  RabbitPayload,
  RabbitRequest,
  RabbitRPC,
  RabbitSubscribe,
  RpcTimeoutError,
} from '@golevelup/nestjs-rabbitmq';
import {
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Injectable,
  Module,
  type NestInterceptor,
  type PipeTransform,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { GolevelupCompatModule } from 'nestjs-messaging/compat/golevelup';

const events: Record<string, unknown[]> = {};
const waiting: (() => void)[] = [];
function happened(what: string, value: unknown): void {
  (events[what] ??= []).push(value);
  for (const look of waiting) look();
}
function until(what: string, count: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => void ((events[what]?.length ?? 0) >= count && resolve());
    waiting.push(look);
    look();
  });
}

const config = {
  uri: process.env.AMQP_URL!,
  exchanges: [
    { name: 'exchange1', type: 'topic' },
    { name: 'exchange2', type: 'direct' },
    { name: 'dead', type: 'fanout' },
  ],
  channels: { 'channel-1': { prefetchCount: 15, default: true }, 'channel-2': { prefetchCount: 2 } },
  enableControllerDiscovery: true,
  connectionInitOptions: { wait: true, timeout: 60_000 },
};

@Injectable()
class Wrapping implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    happened('context', [context.getType<string>() === RABBIT_CONTEXT_TYPE_KEY, isRabbitContext(context)]);
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

@Injectable()
class Doubling implements PipeTransform {
  transform(value: number): number {
    return value * 2;
  }
}

@Injectable()
class OnlyKnown implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.getArgByIndex<{ tenant?: string }>(2).tenant === 'known';
  }
}

@Catch()
class Apologising implements ExceptionFilter {
  catch(error: Error): unknown {
    return { sorry: error.message };
  }
}

@Injectable()
class MessagingService {
  @RabbitRPC({ exchange: 'exchange1', routingKey: 'rpc-route', queue: 'rpc-queue' })
  async rpc(message: { request: string }): Promise<unknown> {
    return { response: 42, to: message.request };
  }

  @RabbitSubscribe({ exchange: 'exchange1', routingKey: 'subscribe-route', queue: 'subscribe-queue' })
  subscribed(message: { msg?: string }, raw: { properties: { correlationId: string } }): void {
    happened('subscribed', [message, message.msg && raw.properties.correlationId]);
  }

  @RabbitSubscribe({
    exchange: 'exchange1',
    routingKey: ['route.c', 'route.*.d'],
    queue: 'mixed-queue',
    bindings: [{ exchange: 'exchange2', routingKey: 'route.a' }],
    queueOptions: { channel: 'channel-2' },
  })
  mixed(
    @RabbitRequest('fields') fields: { exchange: string; routingKey: string },
    @RabbitPayload('n') n: number,
  ): void {
    happened('mixed', [fields.exchange, fields.routingKey, n]);
  }

  @RabbitSubscribe({
    exchange: 'exchange1',
    routingKey: 'nacked',
    queue: 'nacked-queue',
    queueOptions: { deadLetterExchange: 'dead' },
  })
  nacked(): Nack {
    return new Nack();
  }

  @RabbitSubscribe({
    exchange: 'exchange1',
    routingKey: 'thrown',
    queue: 'thrown-queue',
    queueOptions: { deadLetterExchange: 'dead' },
    errorBehavior: MessageHandlerErrorBehavior.NACK,
  })
  thrown(): void {
    throw new Error('not today');
  }

  @RabbitSubscribe({ exchange: 'dead', routingKey: '', queue: 'dead-queue' })
  dead(@RabbitHeader('x-death') deaths: { queue: string; reason: string }[]): void {
    happened('dead', deaths.map(({ queue, reason }) => [queue, reason])[0]);
  }

  @RabbitSubscribe({ exchange: 'exchange1', routingKey: 'per-instance' })
  perInstance(message: unknown): void {
    happened('perInstance', message);
  }

  @RabbitSubscribe({
    exchange: 'exchange1',
    routingKey: 'batch-route',
    queue: 'batch-queue',
    batchOptions: { size: 3, timeout: 30_000 },
  })
  batch(messages: unknown[]): void {
    happened('batch', [...messages].sort());
  }

  @RabbitRPC({
    exchange: 'exchange1',
    routingKey: 'rpc-error',
    queue: 'rpc-error-queue',
    errorHandler: (channel, message, error) => {
      const { replyTo, correlationId } = message.properties as { replyTo: string; correlationId: string };
      channel.publish('', replyTo, Buffer.from(JSON.stringify({ failed: (error as Error).message })), {
        correlationId,
      });
      channel.ack(message);
    },
  })
  failing(): void {
    throw new Error('no price');
  }

  @RabbitRPC({ exchange: 'exchange1', routingKey: 'rpc-nothing', queue: 'rpc-nothing-queue' })
  nothing(): void {}
}

@Controller()
class MessagingController {
  @RabbitRPC({ exchange: 'exchange1', routingKey: 'intercepted', queue: 'intercepted-queue' })
  @UseInterceptors(Wrapping)
  intercepted(@RabbitPayload('n', Doubling) n: number): unknown {
    return { n };
  }

  @RabbitRPC({ exchange: 'exchange1', routingKey: 'guarded', queue: 'guarded-queue' })
  @UseGuards(OnlyKnown)
  @UseFilters(Apologising)
  guarded(): unknown {
    return { welcome: true };
  }
}

@Module({
  imports: [
    process.env.STAND_IN === '1'
      ? GolevelupCompatModule.forRoot(config, { service: 'docs', retry: false, report: process.env.REPORT ?? 'warn' })
      : RabbitMQModule.forRoot(config),
  ],
  // A controller is a provider as well, where it has interceptors, guards or pipes.
  providers: [MessagingService, MessagingController],
  controllers: [MessagingController],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error'] });
  const connection = app.get(AmqpConnection);
  const ask = (routingKey: string, payload?: unknown, headers?: object): Promise<unknown> =>
    connection.request({ exchange: 'exchange1', routingKey, payload, headers, timeout: 60_000 });
  const answers = {
    rpc: await ask('rpc-route', { request: 'val' }, { 'X-Request-ID': 'one' }),
    failing: await ask('rpc-error'),
    nothing: (await ask('rpc-nothing')) ?? 'undefined',
    intercepted: await ask('intercepted', { n: 21 }),
    known: await ask('guarded', {}, { tenant: 'known' }),
    unknown: await ask('guarded', {}, { tenant: 'other' }),
  };
  await connection.publish('exchange1', 'subscribe-route', { msg: 'hello world' }, { correlationId: 'c' });
  await until('subscribed', 1);
  await connection.publish('exchange1', 'route.c', { n: 1 });
  await until('mixed', 1);
  await connection.publish('exchange1', 'route.x.d', { n: 2 });
  await until('mixed', 2);
  await connection.publish('exchange2', 'route.a', { n: 3 });
  await until('mixed', 3);
  await connection.publish('exchange1', 'nacked', {});
  await until('dead', 1);
  await connection.publish('exchange1', 'thrown', {});
  await until('dead', 2);
  await connection.publish('exchange1', 'per-instance', 'each');
  await until('perInstance', 1);
  for (const n of [1, 2, 3]) await connection.publish('exchange1', 'batch-route', n);
  await until('batch', 1);
  const late = await connection
    .request({ exchange: 'exchange1', routingKey: 'subscribe-route', timeout: 200 })
    .catch((error: unknown) => error instanceof RpcTimeoutError && error.timeout);
  console.log(JSON.stringify({ answers, events, late }));
  await app.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
