import { Injectable } from '@nestjs/common';
import type { MessageContext } from 'nestjs-messaging';
import type { Order } from './order.js';

export interface JournalEntry {
  readonly id: string;
  readonly order: Order;
  readonly handledBy: string[];
}

const CAPACITY = 1_000;

/** Which order was handled by whom; the latest ones, in memory. A message that comes twice is written once. */
@Injectable()
export class Journal {
  private readonly byId = new Map<string, JournalEntry>();

  write(who: string, order: Order, { id }: MessageContext): void {
    const entry = this.byId.get(id) ?? { id, order, handledBy: [] };
    if (!entry.handledBy.includes(who)) entry.handledBy.push(who);
    this.byId.set(id, entry);
    if (this.byId.size > CAPACITY) this.byId.delete(this.byId.keys().next().value!);
  }

  entries(): JournalEntry[] {
    return [...this.byId.values()];
  }
}
