import { afterEach, expect, it } from '@jest/globals';
import { Injectable, Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Messaging, MessagingModule, Publisher, Subscribe } from 'nestjs-messaging';
import { sqs } from 'nestjs-messaging/sqs';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';
import { FaultyProxy } from './faulty-proxy.js';

Logger.overrideLogger(false);
const count = process.env.LONG_RUNS === '1' ? 5_000 : 300;
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
let applications = 0;

@Injectable()
class Consumer {
  /** How often each message was handled. */
  readonly handled = new Map<number, number>();
  private readonly failedOnce = new Set<number>();

  @Subscribe('n', { queue: 'numbers', retry: { attempts: 20, backoff: () => 10 } })
  take({ n }: { n: number }): void {
    if (n % 10 === 0 && !this.failedOnce.has(n)) {
      this.failedOnce.add(n);
      throw new Error('the first time');
    }
    this.handled.set(n, (this.handled.get(n) ?? 0) + 1);
  }
}

describeSqs(`A service that fails now and then (seed ${seed})`, (broker) => {
  const open: { close(): Promise<void> }[] = [];
  const proxies: FaultyProxy[] = [];
  afterEach(async () => {
    for (const proxy of proxies) proxy.rate = 0;
    for (const app of open.splice(0)) await app.close();
    await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
  });

  async function application(topics: 'tags' | 'sns', fifo: boolean): Promise<[TestingModule, FaultyProxy]> {
    const proxy = await FaultyProxy.start(await broker.url(), seed);
    proxies.push(proxy);
    const prefix = `faults-${++applications}-`;
    const settings = {
      region: 'us-east-1',
      endpoint: proxy.url,
      prefix,
      topics,
      fifo,
      waitTime: 0,
      lease: 2_000,
      heartbeat: 1_000,
    };
    const module = await Test.createTestingModule({
      imports: [
        MessagingModule.forRoot({ service: 'faults', transport: sqs({ ...settings, options: { credentials } }) }),
      ],
      providers: [Consumer],
    }).compile();
    open.push(module);
    await module.init();
    return [module, proxy];
  }

  it.each([
    ['tags', false],
    ['tags', true],
    ['sns', false],
  ] as const)(
    'loses nothing of what it confirmed while requests are cut, answers lost and entries refused (%s, FIFO: %s)',
    async (topics, fifo) => {
      const [module, proxy] = await application(topics, fifo);
      const { handled } = module.get(Consumer);
      proxy.rate = 0.1;
      const publisher = module.get(Publisher);
      const numbers = Array.from({ length: count }, (_, n) => n);
      await Promise.all(numbers.map((n) => publisher.publish('n', { n }, { key: String(n % 7) })));
      await waitFor(() => handled.size === count, `all ${count}, seed ${seed}`, 60_000);
      proxy.rate = 0;
      const depth = (): Promise<number | undefined> => module.get(Messaging).depth('numbers');
      await waitFor(async () => (await depth()) === 0, 'an empty queue');
      expect([...proxy.made.values()].reduce((sum, one) => sum + one, 0)).toBeGreaterThan(5);
      // A lost answer is sent again, or comes again: some are handled twice, most are not.
      expect([...handled.values()].filter((times) => times > 1).length).toBeLessThan(count / 2);
    },
  );
});
