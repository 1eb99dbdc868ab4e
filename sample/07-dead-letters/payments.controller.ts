import { BadRequestException, Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { Publisher } from 'nestjs-messaging';
import { Bank } from './bank.service.js';

@Controller()
export class PaymentsController {
  constructor(
    private readonly publisher: Publisher,
    private readonly bank: Bank,
  ) {}

  /** So many payments become due. */
  @Post('payments')
  async due(@Body() body: { count?: unknown }): Promise<{ published: number }> {
    const { count = 1 } = body;
    if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > 1_000)
      throw new BadRequestException('«count» must be a whole number from 1 to 1,000');
    const results = await this.publisher.publishMany(
      Array.from({ length: count }, (_, at) => ({ route: 'payment.due', body: { cents: 100 + at } })),
    );
    return { published: results.filter(({ outcome }) => outcome !== 'rejected').length };
  }

  @Post('bank')
  @HttpCode(200)
  set(@Body() body: { open?: unknown }): Bank['state'] {
    if (typeof body.open !== 'boolean') throw new BadRequestException('«open» must be true or false');
    this.bank.open = body.open;
    return this.bank.state;
  }

  @Get('bank')
  state(): Bank['state'] {
    return this.bank.state;
  }
}
