import { Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { DeadLetters, type DeadLetterSelection, type RedriveResult } from 'nestjs-messaging';

@Controller('dead-letters')
export class DeadLettersController {
  constructor(private readonly deadLetters: DeadLetters) {}

  /** A page of ten, of one kind of error where it is named. */
  @Get()
  async list(@Query('error') error?: string, @Query('page') page = '0'): Promise<object> {
    const selection: DeadLetterSelection = { subscription: 'payments', ...(error ? { error } : {}) };
    const found = await this.deadLetters.list(selection, { limit: 10, offset: 10 * (Number.parseInt(page) || 0) });
    const letters = found.map(({ id, reason, attempts, error: { class: name, message } }) => ({
      id,
      reason,
      attempts,
      error: `${name}: ${message}`,
    }));
    return { count: await this.deadLetters.count({ subscription: 'payments' }), letters };
  }

  /** One first, then five, then the rest: as long as the bank is closed one of them is enough to know. */
  @Post('redrive')
  @HttpCode(200)
  async redrive(): Promise<Omit<RedriveResult, 'failed'>> {
    const { failed: _, ...result } = await this.deadLetters.redrive(
      { subscription: 'payments', error: 'BankClosedError' },
      { canary: { stages: [1, 5], window: 5_000 }, maxFailureRate: 0.2, rateLimit: 500 },
    );
    return result;
  }
}
