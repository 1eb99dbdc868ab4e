import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';

export interface Payment {
  readonly card: string;
  readonly cents: number;
}

export interface PaymentRequest extends Payment {
  readonly id: string;
}

/** Makes a payment of a request's body; anything else is answered with 400. */
@Injectable()
export class ParsePayment implements PipeTransform<unknown, PaymentRequest> {
  transform(body: unknown): PaymentRequest {
    const { id, card, cents } = (body ?? {}) as Partial<PaymentRequest>;
    if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id))
      throw new BadRequestException('«id» must be 1 to 64 letters, digits, - or _; it says which payment is meant');
    if (typeof card !== 'string' || card === '' || card.length > 100)
      throw new BadRequestException('«card» must be a text of 1 to 100 characters');
    if (!Number.isInteger(cents) || cents! < 1) throw new BadRequestException('«cents» must be a whole number above 0');
    return { id, card, cents: cents! };
  }
}
