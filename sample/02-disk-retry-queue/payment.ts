import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';

export interface Payment {
  readonly account: string;
  readonly cents: number;
}

/** Makes a payment of a request's body; anything else is answered with 400. */
@Injectable()
export class ParsePayment implements PipeTransform<unknown, Payment> {
  transform(body: unknown): Payment {
    const { account, cents } = (body ?? {}) as Partial<Payment>;
    if (typeof account !== 'string' || account.trim() === '' || account.length > 100)
      throw new BadRequestException('«account» must be a text of 1 to 100 characters');
    if (!Number.isSafeInteger(cents) || cents! < 1)
      throw new BadRequestException('«cents» must be a whole number from 1');
    return { account, cents: cents! };
  }
}
