// Only so that this sample is type-checked where golevelup is not installed.
declare module '@golevelup/nestjs-rabbitmq' {
  import type { DynamicModule } from '@nestjs/common';
  import type { RabbitMQConfig } from 'nestjs-messaging/compat/golevelup';

  export * from 'nestjs-messaging/compat/golevelup';
  export class RabbitMQModule {
    static forRoot(config: RabbitMQConfig): DynamicModule;
  }
}
