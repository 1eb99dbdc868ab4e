import { Controller, Get } from '@nestjs/common';
import { Messaging } from 'nestjs-messaging';

@Controller('queue')
export class QueueController {
  constructor(private readonly messaging: Messaging) {}

  /** How much waits, since when, and whether the disk can be written. */
  @Get()
  state(): ReturnType<Messaging['health']>['retryQueue'] {
    return this.messaging.health().retryQueue;
  }
}
