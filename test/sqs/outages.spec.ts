import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Messaging, MessagingModule, Publisher, Subscribe } from 'nestjs-messaging';
import { sqs } from 'nestjs-messaging/sqs';
import type { SqsOptions } from '../../lib/transports/sqs/options.js';
import { Proxy } from '../brokers/proxy.js';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';
import { FakeSqs } from './fake-sqs.js';

const lines: string[] = [];
const line = (...words: unknown[]): void => void lines.push(words.join(' '));
const logger = { log: line, warn: line, error: line };
const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

@Injectable()
class Numbers {
  readonly handled = new Set<number>();

  @Subscribe('n', { queue: 'numbers' })
  take({ n }: { n: number }): void {
    this.handled.add(n);
  }
}

async function application(options: SqsOptions): Promise<TestingModule> {
  const transport = sqs({ region: 'us-east-1', heartbeat: 200, lease: 3_000, ...options });
  const reconnect = { initial: 20, max: 100, jitter: 0 };
  const module = await Test.createTestingModule({
    imports: [MessagingModule.forRoot({ service: 'outages', transport, reconnect })],
    providers: [Numbers],
  })
    .setLogger(logger)
    .compile();
  open.unshift(module);
  await module.init();
  return module;
}

describe('Credentials that run out', () => {
  it('are named in health and log without what is secret, and all goes on once the provider has new ones', async () => {
    const fake = await FakeSqs.start();
    open.push({ close: () => fake.stop() });
    let made = 0;
    let token = 'planted-token-1';
    // Without a time of expiry: a client of the SDK asks once, and never again.
    const credentials = () => {
      made++;
      return Promise.resolve({ accessKeyId: 'test', secretAccessKey: 'planted-secret', sessionToken: token });
    };
    const module = await application({ endpoint: fake.endpoint, options: { credentials, md5: false } });
    const [messaging, publisher] = [module.get(Messaging), module.get(Publisher)];
    await publisher.publish('n', { n: 1 });
    await waitFor(() => fake.polls === 1, 'a poll');
    fake.expired = token;
    const late = publisher.publish('n', { n: 2 });
    const told = () => JSON.stringify(messaging.health());
    await waitFor(() => /ExpiredTokenException/.test(told()), 'the reason in health');
    expect(messaging.health()).toMatchObject({ status: 'down' });
    const before = made;
    await waitFor(() => made > before, 'the provider asked again');
    await waitFor(
      () => lines.some((one) => /ExpiredTokenException.*sqs\.options\.credentials/.test(one)),
      'a log line',
    );
    token = 'planted-token-2';
    await late;
    await waitFor(() => fake.polls === 1 && messaging.health().status === 'up', 'polls, and health');
    expect(`${lines.join('\n')}${told()}`).not.toContain('planted');
    fake.answers.ReceiveMessage = () => ({ fault: 'ServiceUnavailable', status: 503 });
  });
});

describeSqs('A connection that swallows everything', (broker) => {
  it('ends sends and polls by their timeouts; nothing is lost, and consumers come back', async () => {
    const proxy = await Proxy.start(await broker.url());
    open.push(proxy);
    const endpoint = `http://127.0.0.1:${proxy.port}`;
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const requestHandler = { requestTimeout: 2_500 };
    const module = await application({
      endpoint,
      prefix: `swallowed-${process.pid}-`,
      waitTime: 1_000,
      options: { credentials, requestHandler },
    });
    const [messaging, publisher, { handled }] = [module.get(Messaging), module.get(Publisher), module.get(Numbers)];
    const publish = (from: number): Promise<unknown> =>
      Promise.all(Array.from({ length: 20 }, (_, at) => publisher.publish('n', { n: from + at })));
    await publish(0);
    await waitFor(() => handled.size === 20, 'the first twenty');
    proxy.stall();
    const late = publish(20);
    await waitFor(() => messaging.health().status === 'down', 'an outage', 60_000);
    proxy.resume();
    await late;
    await waitFor(() => handled.size === 40, 'all forty', 60_000);
    await publish(40);
    await waitFor(() => handled.size === 60, 'all sixty', 60_000);
    await waitFor(async () => (await messaging.depth('numbers')) === 0, 'an empty queue', 60_000);
  }, 120_000);
});
