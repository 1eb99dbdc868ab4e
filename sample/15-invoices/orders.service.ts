import { Injectable } from '@nestjs/common';
import { Publisher } from 'nestjs-messaging';
import { CheckTransaction, type TransactionInDoubt, type TransactionOutcome } from 'nestjs-messaging/transaction';
import { OrderBook } from './order-book.js';

export interface Order {
  readonly order: string;
  readonly paper: 'good' | 'jams' | 'torn';
}

@Injectable()
export class OrdersService {
  /** Slow transactions, each to be called when it was asked about. */
  private readonly slow = new Map<string, () => void>();

  constructor(
    private readonly publisher: Publisher,
    private readonly book: OrderBook,
  ) {}

  /** Stores the order and sends its message, or neither. A slow transaction commits only after the check-back has asked for it. */
  async place(order: Order, isSlow: boolean): Promise<string> {
    const { outcome } = await this.publisher.publishInTransaction(
      'order.placed',
      order,
      async ({ id }) => {
        if (isSlow) await new Promise<void>((resolve) => this.slow.set(id, resolve));
        this.book.commit(id, order.order);
      },
      { id: order.order },
    );
    return outcome;
  }

  @CheckTransaction('order.placed')
  wasPlaced({ id }: TransactionInDoubt): TransactionOutcome {
    const outcome = this.book.has(id) ? 'committed' : 'rolled-back';
    this.slow.get(id)?.();
    return outcome;
  }
}
