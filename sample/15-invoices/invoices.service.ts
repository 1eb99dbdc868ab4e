import { Injectable } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import type { Order } from './orders.service.js';

@Injectable()
export class InvoicesService {
  /** Orders in the order of their messages, and those that were invoiced. */
  readonly journal: string[] = [];
  readonly invoices: string[] = [];
  /** Calls that failed: `order-1, call 1`. */
  readonly failures: string[] = [];
  private hasTorn = true;

  /** Nothing but what has to be said. */
  @Subscribe('order.placed')
  note({ order }: Order): void {
    this.journal.push(order);
  }

  /** Once per order. Where it fails nothing was printed: a throw frees the id, and the retry, a second later, is handled. */
  @Subscribe('order.placed', { name: 'invoices', idempotent: true })
  print({ order, paper }: Order, { attempt }: MessageContext): void {
    if ((paper === 'jams' && attempt < 3) || (paper === 'torn' && this.hasTorn)) {
      this.failures.push(`${order}, call ${attempt}`);
      throw new Error(`The paper ${paper === 'jams' ? 'is jammed' : 'is torn'}`);
    }
    this.invoices.push(order);
  }

  /** From now on the paper is good. */
  mend(): void {
    this.hasTorn = false;
  }
}
