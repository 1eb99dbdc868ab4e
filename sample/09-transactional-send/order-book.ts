import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Injectable } from '@nestjs/common';

export interface Order {
  readonly item: string;
}

/** A database of one file: what is written is there altogether, or not at all. Yours has transactions. */
@Injectable()
export class OrderBook {
  private readonly file = process.env.ORDERS_FILE ?? './orders.json';

  /** Orders by the id of the transaction that wrote them. */
  get all(): Record<string, Order> {
    return existsSync(this.file) ? (JSON.parse(readFileSync(this.file, 'utf8')) as Record<string, Order>) : {};
  }

  commit(transaction: string, order: Order): void {
    const written = `${this.file}.new`;
    writeFileSync(written, JSON.stringify({ ...this.all, [transaction]: order }), { flush: true });
    renameSync(written, this.file);
  }

  has(transaction: string): boolean {
    return transaction in this.all;
  }
}
