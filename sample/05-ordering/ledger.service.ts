import { Injectable } from '@nestjs/common';
import { MessageContext, Subscribe, partitioned } from 'nestjs-messaging';

export interface Entry {
  readonly account: string;
  /** From 1 on, per account: what the order must not change. */
  readonly number: number;
}

/** Books entries: of one account one at a time and in order, of different accounts beside each other. */
@Injectable()
export class LedgerService {
  /** By account, the numbers in the order in which this process booked them. */
  readonly booked = new Map<string, number[]>();
  /** Calls that failed. */
  failed = 0;

  /** On RabbitMQ the queue is split by account, and the processes share the partitions. */
  @Subscribe('entry.made', {
    concurrency: partitioned({ key: { property: 'account' }, lanes: 4 }),
    prefetch: 20,
    rabbitmq: { partitions: 8 },
  })
  onEntryMade({ account, number }: Entry, { attempt }: MessageContext): void {
    // The third entry of each account fails once: the fourth waits for it, other accounts go on.
    if (number === 3 && attempt === 1) {
      this.failed++;
      throw new Error(`The account ${account} is locked`);
    }
    this.booked.set(account, [...(this.booked.get(account) ?? []), number]);
  }
}
