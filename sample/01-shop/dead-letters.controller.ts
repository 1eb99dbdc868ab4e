import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { DeadLetters } from 'nestjs-messaging';

@Controller('dead-letters')
export class DeadLettersController {
  constructor(private readonly deadLetters: DeadLetters) {}

  @Get()
  async list(): Promise<object[]> {
    const found = await this.deadLetters.list();
    return found.map(({ id, deadLetterQueue, route, body, reason, attempts, error }) => ({
      id,
      deadLetterQueue,
      route,
      body: body.toString(),
      reason,
      attempts,
      error: error.message,
    }));
  }

  /** Sends all of them back to the queues they came from; a broken order fails there again. */
  @Post('redrive')
  @HttpCode(200)
  async redrive(): Promise<{ done: number; failed: number }> {
    const { done, failed } = await this.deadLetters.redrive();
    return { done, failed: failed.length };
  }
}
