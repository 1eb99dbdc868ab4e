import { Controller, Get } from '@nestjs/common';
import { type RequeueHealth, RequeueService } from 'nestjs-messaging/requeue';

@Controller('requeue')
export class RequeueController {
  constructor(private readonly requeue: RequeueService) {}

  @Get()
  health(): RequeueHealth {
    return this.requeue.health();
  }
}
