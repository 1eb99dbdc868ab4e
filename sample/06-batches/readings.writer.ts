import { Injectable } from '@nestjs/common';
import { BatchContext, Outcome, SubscribeBatch, UnrecoverableError } from 'nestjs-messaging';
import type { Reading } from './reading.js';
import { ReadingsTable } from './readings.table.js';

@Injectable()
export class ReadingsWriter {
  constructor(private readonly table: ReadingsTable) {}

  /** One insert per batch: after 100 readings, or 200 ms after the first. What the table refuses fails by itself. */
  @SubscribeBatch('reading.taken', { name: 'archive', size: 100, maxWait: 200 })
  store(readings: Reading[], { entries }: BatchContext): (Outcome | Error)[] {
    // Messages can come twice; with the message's id for a key the second one changes nothing.
    const refused = this.table.insertMany(readings.map((reading, at) => ({ id: entries[at].id, ...reading })));
    return entries.map(({ id }) => {
      const reason = refused.get(id);
      return reason === undefined ? Outcome.ack : new UnrecoverableError(reason);
    });
  }
}
