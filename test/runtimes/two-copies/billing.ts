// A package of a monorepo that has a copy of nestjs-messaging of its own.
import { Injectable } from '@nestjs/common';
import { type MessageContext, Publisher, RetryLaterError, Subscribe, UnrecoverableError } from 'nestjs-messaging';

@Injectable()
export class Billing {
  readonly billed: string[] = [];

  constructor(readonly publisher: Publisher) {}

  @Subscribe('order.created', { name: 'billing' })
  async bill({ item }: { item: string }, context: MessageContext): Promise<void> {
    if (item === 'lamp') throw new UnrecoverableError('No lamp in stock');
    if (item === 'later' && context.attempt === 1) throw new RetryLaterError(20);
    this.billed.push(item);
  }
}
