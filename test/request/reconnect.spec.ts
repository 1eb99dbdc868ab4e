import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test } from '@jest/globals';
import { memory, MemoryBroker, MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { Requester } from 'nestjs-messaging/request';
import { describeNats } from '../brokers/nats.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const WITHIN = 120_000;
const MANY = 10_000;

/** A broker, with a way to it of the requester's own that can be cut. */
interface Place {
  readonly answering: () => TransportFactory;
  readonly asking: () => TransportFactory;
  /** Ends its connections, and lets none come. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

async function behindProxy(url: string, transport: (url: string) => TransportFactory): Promise<Place> {
  const proxy = await Proxy.start(url);
  proxies.push(proxy);
  return {
    answering: () => transport(url),
    asking: () => transport(proxy.url(url)),
    async cut() {
      await proxy.refuse(true);
      expect(proxy.reset()).toBeGreaterThan(0);
    },
    mend: () => proxy.refuse(false),
  };
}

const proxies: Proxy[] = [];

afterEach(async () => {
  await closeApplications();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
}, WITHIN);

describe('many requests (memory)', () =>
  suite(async () => {
    const broker = new MemoryBroker();
    const transport = (): TransportFactory => memory({ broker });
    return {
      ...{ answering: transport, asking: transport },
      async cut() {
        broker.faults.refuse();
        broker.faults.disconnect();
      },
      mend: async () => broker.faults.accept(),
    };
  }));
describeRabbit('many requests', (rabbit) =>
  suite(async () => behindProxy(await rabbit.freshVhostUrl(), (url) => rabbitmq({ url, exchange: 'events' }))),
);
describeNats('many requests', (server) =>
  suite(async () => behindProxy(await server.url(), (servers) => nats({ servers, syncAlways: true }))),
);

function suite(fresh: () => Promise<Place>): void {
  const application = (service: string, transport: TransportFactory): Promise<Application> =>
    boot({ imports: [MessagingModule.forRoot({ service, transport, reconnect: { initial: 20, max: 100 } })] });

  test(
    '10,000 that wait while the connection is cut each end once, with REPLY_LOST, and nothing of them is kept; 10,000 that wait for the connection are each answered once',
    async () => {
      const place = await fresh();
      let openGate = (): void => {};
      const gate = new Promise<void>((resolve) => (openGate = resolve));
      const handled: number[] = [];
      const answering = await application('quotes', place.answering());
      const asked = { route: 'quote', prefetch: 1_000, answers: { always: true } };
      await answering.messaging.subscribe(asked, async ({ n }: { n: number }) => {
        handled.push(n);
        await gate;
        return { n };
      });
      const asking = await application('shop', place.asking());
      const requester = asking.get(Requester);
      const ends = { answered: [] as number[], failed: [] as string[] };
      const bodies: WeakRef<object>[] = [];
      const ask = (n: number, queue = false): Promise<unknown> => {
        const body = { n };
        bodies.push(new WeakRef(body));
        return requester.request('quote', body, { queue, timeout: 10 * WITHIN }).then(
          (answer) => ends.answered.push((answer as { n: number }).n),
          ({ code }: { code: string }) => ends.failed.push(code),
        );
      };
      const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

      const waiting = range(0, MANY / 2).map((n) => ask(n));
      await waitFor(() => handled.length === 1_000, 'the first to be handled', WITHIN);
      // Half of them is with the broker at least in part, the other half is being sent.
      waiting.push(...range(MANY / 2, MANY).map((n) => ask(n)));
      expect(requester.pending).toBe(MANY);
      await expect(requester.request('quote', {})).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
      await place.cut();
      await Promise.all(waiting.splice(0));
      expect(ends.answered).toEqual([]);
      expect(ends.failed).toHaveLength(MANY);
      expect(new Set(ends.failed)).toEqual(new Set(['REPLY_LOST']));
      expect(requester.pending).toBe(0);
      await expect(requester.request('quote', {})).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
      await waitFor(
        () => {
          collectGarbage();
          return bodies.every((body) => body.deref() === undefined);
        },
        'the memory of those that ended',
        WITHIN,
      );

      // They are answered to an address that is gone; those that come now wait for another one.
      openGate();
      waiting.push(...range(MANY, 2 * MANY).map((n) => ask(n, true)));
      expect(requester.pending).toBe(MANY);
      await place.mend();
      await Promise.all(waiting);
      expect(ends.failed).toHaveLength(MANY);
      expect([...ends.answered].sort((a, b) => a - b)).toEqual(range(MANY, 2 * MANY));
      expect(requester.pending).toBe(0);
      expect(requester.unexpected).toEqual({ late: 0, second: 0, unknown: 0 });
      expect(handled.filter((n) => n >= MANY)).toHaveLength(MANY);
      expect(new Set(handled).size).toBe(handled.length);
    },
    4 * WITHIN,
  );
}
