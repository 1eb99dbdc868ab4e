import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';

export interface Order {
  readonly item: string;
  readonly quantity: number;
}

/** Makes an order of a request's body; anything else is answered with 400. */
@Injectable()
export class ParseOrder implements PipeTransform<unknown, Order> {
  transform(body: unknown): Order {
    const { item, quantity = 1 } = (body ?? {}) as Partial<Order>;
    if (typeof item !== 'string' || item.trim() === '' || item.length > 100)
      throw new BadRequestException('«item» must be a text of 1 to 100 characters');
    if (!Number.isInteger(quantity) || quantity < 1 || quantity > 1_000)
      throw new BadRequestException('«quantity» must be a whole number from 1 to 1,000');
    return { item, quantity };
  }
}
