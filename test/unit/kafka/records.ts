import type { IncomingRecord } from '../../../lib/transports/kafka/client-port.js';

export function record(offset: number, more: Partial<IncomingRecord> = {}): IncomingRecord {
  return {
    topic: 'events',
    partition: 2,
    offset,
    timestamp: offset,
    key: null,
    value: Buffer.from('{}'),
    headers: {},
    raw: {},
    ...more,
  };
}
