import { Injectable } from '@nestjs/common';
import { MessageContext, partitioned, Subscribe } from 'nestjs-messaging';
import { parcelScanned, type Scan } from './scan.js';

/** The connection to the broker that carriers write to. */
export const CARRIERS = 'carriers';

/** Where each parcel was seen, and the queue that told it. */
@Injectable()
export class ParcelsService {
  readonly parcels = new Map<string, { place: string; queue: string }[]>();

  /** What carriers write to Kafka and what we write to RabbitMQ is the same to it. The scans of a parcel keep their order. */
  @Subscribe(parcelScanned, { connection: CARRIERS, name: 'carriers', concurrency: partitioned() })
  @Subscribe(parcelScanned, { name: 'own', concurrency: partitioned() })
  scanned({ parcel, place }: Scan, { queue }: MessageContext): void {
    this.parcels.set(parcel, [...(this.parcels.get(parcel) ?? []), { place, queue }]);
  }
}
