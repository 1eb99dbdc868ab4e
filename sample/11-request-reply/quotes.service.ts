import { Injectable } from '@nestjs/common';
import { ReplyError, Respond } from 'nestjs-messaging/request';
import { type Ask, type Quote, quote } from './quotes.contract.js';

const PRICES: Readonly<Record<string, number>> = { book: 12, chair: 80 };

/** The side that is asked; in another process as well as here. */
@Injectable()
export class QuotesService {
  @Respond(quote)
  async quote({ item }: Ask): Promise<Quote> {
    // A supplier that does not answer: whoever asked has given up long before.
    if (item === 'lamp') await new Promise((resolve) => setTimeout(resolve, 1_500));
    const price = PRICES[item];
    // A normal answer: the request was handled.
    if (price === undefined)
      throw new ReplyError('NOT_SOLD', `There is no ${item}`, { details: { sold: Object.keys(PRICES) } });
    return { price };
  }
}
