import { Controller, Get, Param } from '@nestjs/common';
import type { MessagingError } from 'nestjs-messaging';
import { RemoteError, Requester } from 'nestjs-messaging/request';
import { quote } from './quotes.contract.js';

@Controller()
export class ShopController {
  constructor(private readonly requester: Requester) {}

  @Get('quotes/:item')
  price(@Param('item') item: string): Promise<unknown> {
    return this.requester.request(quote, { item }, { timeout: 500 }).catch(told);
  }

  /** Nobody handles it, which is known at once. */
  @Get('nobody')
  nobody(): Promise<unknown> {
    return this.requester.request('nobody.is.here', {}).catch(told);
  }

  @Get('replies')
  replies(): Readonly<Record<string, number>> {
    return this.requester.unexpected;
  }
}

function told(error: MessagingError): object {
  const details = error instanceof RemoteError ? error.details : undefined;
  return { error: error.code, ...(details !== undefined && { details }) };
}
