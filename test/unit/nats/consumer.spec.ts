import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEvent } from '../../../lib/transport/transport.js';
import type { Link } from '../../../lib/transports/nats/link.js';
import { Consumer, type ConsumerOptions } from '../../../lib/transports/nats/consumer.js';

const CREATED = '2030-01-01T00:00:00Z';

/** A consumer on a server whose consumer is deleted as soon as anybody asks it for messages. */
class FickleServer {
  readonly clock = new ManualClock();
  readonly warnings: string[] = [];
  readonly reasons: (string | undefined)[] = [];
  readonly attached: number[] = [];
  readonly consumer: Consumer;

  constructor() {
    const connection = {
      subscribe: (_: string, { callback }: { callback: (error: null, message: object) => void }) => {
        this.attached.push(this.clock.monotonic());
        const headers = { code: 409, description: 'Consumer Deleted', get: () => '' };
        queueMicrotask(() => callback(null, { subject: '_INBOX.1', data: Buffer.alloc(0), headers }));
        return { unsubscribe: () => undefined };
      },
      publish: () => undefined,
      isClosed: () => false,
    };
    const manager = { consumers: { info: async () => ({ created: CREATED, num_ack_pending: 0 }) } };
    const link = { connection, manager, inbox: () => '_INBOX.1' } as unknown as Link;
    this.consumer = new Consumer({
      queue: 'q',
      stream: 's',
      consumer: 'c',
      prefetch: 10,
      ackWait: 30_000,
      binding: () => undefined,
      connection: {
        current: link,
        isClosed: false,
        redact: (text: string) => text,
        whenOpen: () => Promise.resolve(),
      },
      environment: {
        clock: this.clock,
        random: () => 0.5,
        reconnect: { initial: 100, max: 1_000, jitter: 0 },
        onEvent: (event: TransportEvent) => void (event.type === 'warning' && this.warnings.push(event.message)),
      },
      handlers: {
        delivery: () => {},
        lost: () => {},
        state: (consuming: boolean, reason?: string) => void this.reasons.push(consuming ? 'consuming' : reason),
      },
      declare: async () => CREATED,
      ended: () => {},
    } as unknown as ConsumerOptions);
  }
}

it('pauses longer and longer before it attaches again where its consumer is deleted at once, and says so', async () => {
  const server = new FickleServer();
  await server.consumer.start();
  await server.clock.advance(10_000);
  expect(server.attached.slice(0, 6)).toEqual([0, 100, 300, 700, 1_500, 2_500]);
  expect(server.attached).toHaveLength(13);
  expect(server.warnings).toHaveLength(1);
  expect(server.warnings[0]).toContain('Consuming from «q» ends again and again');
  expect(server.reasons.at(-1)).toMatch(/\(13 times in a row\)$/);
  await server.consumer.close();
});
