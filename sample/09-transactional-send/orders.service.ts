import { Injectable } from '@nestjs/common';
import { Publisher } from 'nestjs-messaging';
import { CheckTransaction, type TransactionInDoubt, type TransactionOutcome } from 'nestjs-messaging/transaction';
import { type Order, OrderBook } from './order-book.js';

/** What happens to the transaction of an order. */
export const ENDINGS = ['commits', 'rolls back', 'loses the answer', 'dies'] as const;
export type Ending = (typeof ENDINGS)[number];

@Injectable()
export class OrdersService {
  constructor(
    private readonly publisher: Publisher,
    private readonly book: OrderBook,
  ) {}

  /** The order is stored and its message sent, or neither. */
  async create(order: Order, ending: Ending): Promise<string> {
    const { outcome } = await this.publisher.publishInTransaction('order.created', order, async ({ id }) => {
      if (ending === 'rolls back') throw new Error('It is out of stock');
      this.book.commit(id, order);
      if (ending === 'loses the answer') throw new Error('The connection to the database was reset');
      if (ending === 'dies') await this.die();
    });
    return outcome;
  }

  /** Asked after a crash, and where a transaction failed: the book knows. PostgreSQL would say it itself: postgresCommitStatus(). */
  @CheckTransaction('order.created')
  wasCreated({ id }: TransactionInDoubt): TransactionOutcome {
    return this.book.has(id) ? 'committed' : 'rolled-back';
  }

  /** As if by a power failure. */
  private die(): Promise<never> {
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => undefined);
  }
}
