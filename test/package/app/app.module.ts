import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { MessageContext, MessagingModule, Subscribe } from 'nestjs-messaging';
import { MessagingHealthIndicator } from 'nestjs-messaging/health';

export interface Order {
  readonly item: string;
}

@Injectable()
export class Inbox {
  private take!: (order: Order) => void;
  readonly first = new Promise<Order>((resolve) => (this.take = resolve));

  @Subscribe('order.created', { dlq: true, prefetch: 20 })
  async onOrderCreated(order: Order, context: MessageContext): Promise<void> {
    if (context.attempt === 1) this.take(order);
  }
}

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly messaging: MessagingHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.messaging.isHealthy('messaging')]);
  }
}

@Module({
  imports: [MessagingModule.forRoot({ service: 'packed' }), TerminusModule],
  controllers: [HealthController],
  providers: [Inbox, MessagingHealthIndicator],
})
export class AppModule {}
