import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';

/** A database of one file: a line, an order and the transaction that wrote it, is there or not. Yours has transactions. */
@Injectable()
export class OrderBook {
  private readonly file = join(process.env.DATA_FOLDER ?? '.', 'orders.txt');

  /** The orders, each once. */
  get orders(): string[] {
    return [...new Set(this.lines.map(([, order]) => order))];
  }

  commit(transaction: string, order: string): void {
    appendFileSync(this.file, `${transaction} ${order}\n`, { flush: true });
  }

  has(transaction: string): boolean {
    return this.lines.some(([written]) => written === transaction);
  }

  private get lines(): string[][] {
    if (!existsSync(this.file)) return [];
    const lines = readFileSync(this.file, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => line.split(' '));
  }
}
