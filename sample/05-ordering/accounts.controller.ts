import { BadRequestException, Body, Controller, Get, Post } from '@nestjs/common';
import { type ConsumerHealth, Messaging, Publisher } from 'nestjs-messaging';
import { LedgerService } from './ledger.service.js';

const MOST = 100;

@Controller('accounts')
export class AccountsController {
  constructor(
    private readonly publisher: Publisher,
    private readonly messaging: Messaging,
    private readonly ledger: LedgerService,
  ) {}

  /** Makes as many entries for each of these accounts. */
  @Post('entries')
  async make(@Body() body: { accounts?: unknown; entries?: unknown }): Promise<{ made: number }> {
    const { accounts, entries } = body;
    if (!Array.isArray(accounts) || accounts.length === 0 || accounts.length > MOST || !accounts.every(isName))
      throw new BadRequestException(`«accounts» must be 1 to ${MOST} names`);
    if (typeof entries !== 'number' || !Number.isInteger(entries) || entries < 1 || entries > MOST)
      throw new BadRequestException(`«entries» must be a whole number from 1 to ${MOST}`);
    // Awaited one after the other for each account: what is published in disorder is handled in disorder.
    await Promise.all(
      accounts.map(async (account) => {
        for (let number = 1; number <= entries; number++)
          await this.publisher.publish('entry.made', { account, number }, { key: account });
      }),
    );
    return { made: accounts.length * entries };
  }

  /** What this process booked, and which partitions it has. */
  @Get()
  booked(): { booked: Record<string, number[]>; failed: number; consumers: readonly ConsumerHealth[] } {
    const { booked, failed } = this.ledger;
    return { booked: Object.fromEntries(booked), failed, consumers: this.messaging.health().consumers };
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && /^\w{1,40}$/.test(value);
}
