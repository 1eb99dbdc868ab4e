import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Publisher, Subscribe, bounded, partitioned, unbounded } from 'nestjs-messaging';
import { Tally } from './tally.js';

export interface Scan {
  readonly parcel: string;
  /** From 1 on, per parcel. */
  readonly step: number;
}

/** One queue, of which each message goes to the handler of its route. */
const desk = { name: 'desk', prefetch: 20 };
const JAMS = /[05]$/;

@Injectable()
export class DepotService {
  readonly scanned = new Tally();
  readonly delivered = new Tally();
  readonly labels = new Tally();
  readonly mails = new Tally();
  readonly archived = new Tally();
  readonly history = new Tally();
  /** Labels that jammed. */
  readonly jammed = new Set<string>();

  constructor(private readonly publisher: Publisher) {}

  @Subscribe('parcel.scanned', desk)
  onScanned({ parcel, step }: Scan): Promise<void> {
    return this.scanned.during(`${parcel}:${step}`, '', async () => undefined);
  }

  @Subscribe('parcel.delivered', desk)
  onDelivered({ parcel, step }: Scan): Promise<void> {
    return this.delivered.during(`${parcel}:${step}`, '', async () => undefined);
  }

  /** There are two printers. */
  @Subscribe('parcel.scanned', { name: 'labels', concurrency: bounded(2) })
  print({ parcel, step }: Scan): Promise<void> {
    const label = `${parcel}:${step}`;
    return this.labels.during(label, '', async () => {
      await pause(5);
      if (JAMS.test(parcel) && step === 1 && !this.jammed.has(label)) {
        this.jammed.add(label);
        throw new Error(`The label ${label} is jammed`);
      }
    });
  }

  /** As many at a time as there are, up to the prefetch. What is published here goes out also while the process ends. */
  @Subscribe('parcel.delivered', { name: 'mails', concurrency: unbounded(), prefetch: 50 })
  tell({ parcel, step }: Scan): Promise<void> {
    return this.mails.during(`${parcel}:${step}`, '', async () => {
      await pause(5);
      await this.publisher.publish('mail.sent', { parcel, step }, { key: parcel });
    });
  }

  @Subscribe('mail.sent')
  archive({ parcel, step }: Scan): Promise<void> {
    return this.archived.during(`${parcel}:${step}`, '', async () => undefined);
  }

  /** Of one parcel one at a time, of four parcels beside each other. */
  @Subscribe('parcel.*', { name: 'history', prefetch: 20, concurrency: partitioned({ lanes: 4 }) })
  write({ parcel, step }: Scan): Promise<void> {
    return this.history.during(`${parcel}:${step}`, parcel, async () => pause(1));
  }
}
