import { nats, type NatsOptions } from 'nestjs-messaging/nats';
import { Load } from '../fault/load.js';

/** What a process that died had comes again after two seconds. */
export function startLoad(options: NatsOptions, mostAhead?: number): Promise<Load> {
  return Load.start(nats({ syncAlways: true, ackWait: 2_000, ...options }), mostAhead);
}
