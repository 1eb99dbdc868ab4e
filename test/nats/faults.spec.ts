import { afterEach, expect, test } from '@jest/globals';
import { describeNatsNode } from '../brokers/nats.js';
import type { NatsServer } from '../brokers/nats/server.js';
import { Proxy } from '../brokers/proxy.js';
import { closeApplications, event } from '../e2e/support/application.js';
import { problemsOf } from '../fault/checker.js';
import { now } from '../fault/journal.js';
import { BATCH, type Load } from '../fault/load.js';
import { loseAnswers, survived } from '../fault/under-load.js';
import { startLoad } from './load.js';
import { closePlain, managerOf } from './plain.js';

/** Each fault in the middle of publishing and handling: nothing is lost, and what comes twice was under way. */
describeNatsNode('under load, nothing is lost when', (nats) => {
  const proxies: Proxy[] = [];

  afterEach(async () => {
    await closeApplications();
    await closePlain();
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  });

  async function proxied(server: NatsServer): Promise<Proxy> {
    const proxy = await Proxy.start(server.url);
    proxies.push(proxy);
    return proxy;
  }

  /** `times`: how often the fault comes, each with the same amount in flight at most. */
  async function check(load: Load, fault: () => Promise<void>, times = 1): Promise<void> {
    const { inFlight } = await survived(load, fault, { times, each: 500 });
    expect(inFlight).toBeGreaterThan(0);
  }

  const queue = 'load:loaded:queue';

  /** The queue is still there when the server starts again: it is on disk. */
  async function survives(server: NatsServer): Promise<void> {
    await closePlain();
    await closeApplications();
    await server.restart();
    const { consumer_count: count } = (await (await managerOf(server.url)).streams.info('events')).state;
    expect(count).toBe(2);
  }

  test('the server is killed and started again', async () => {
    const server = await nats.start();
    const load = await startLoad({ servers: server.url });
    const lost = event(load.messaging, 'disconnected');
    await check(load, () => server.restart(), 3);
    await lost;
  });

  test('the connection is cut', async () => {
    const server = await nats.start();
    const proxy = await proxied(server);
    const load = await startLoad({ servers: proxy.url(server.url) });
    await check(load, async () => expect(proxy.reset()).toBeGreaterThan(0), 5);
  });

  test('the server hangs for longer than pings are waited for', async () => {
    const server = await nats.start();
    const load = await startLoad({ servers: server.url, options: { pingInterval: 200, maxPingOut: 2, timeout: 500 } });
    await check(load, async () => {
      const lost = event(load.messaging, 'disconnected');
      await server.suspend();
      await lost;
      server.resume();
    });
  });

  test('acknowledgements are lost', async () => {
    const server = await nats.start();
    const proxy = await proxied(server);
    const load = await startLoad({ servers: proxy.url(server.url) });
    await check(load, () => loseAnswers(load, proxy));
  });

  test('the stream is full: what it does not take waits at the publisher', async () => {
    const server = await nats.start();
    const load = await startLoad({ servers: server.url });
    const manager = await managerOf(server.url);
    await check(load, async () => {
      const queued = event(load.messaging, 'queued');
      // A server before 2.10 deletes what is above a limit that is lowered.
      await load.rest();
      await manager.streams.update('events', { max_msgs: 1 });
      load.go();
      await queued;
      await manager.streams.update('events', { max_msgs: -1 });
    });
  });

  test('somebody deletes the consumer of an empty queue', async () => {
    const server = await nats.start();
    const load = await startLoad({ servers: server.url });
    const manager = await managerOf(server.url);
    await load.more(500);
    await load.rest();
    const { created } = await manager.consumers.info('events', queue);
    const stopped = event(load.messaging, 'consumer-stopped');
    await manager.consumers.delete('events', queue);
    await stopped;
    load.go();
    const from = now();
    await load.more(500);
    expect((await manager.consumers.info('events', queue)).created).not.toBe(created);
    expect(problemsOf(await load.finish(from, now()), { duplicates: BATCH, copies: 2 })).toEqual([]);
    await survives(server);
  });

  test('somebody deletes the stream when it is empty', async () => {
    const server = await nats.start();
    const load = await startLoad({ servers: server.url });
    const manager = await managerOf(server.url);
    await load.more(500);
    await load.rest();
    const stopped = event(load.messaging, 'consumer-stopped');
    await manager.streams.delete('events');
    await stopped;
    load.go();
    const from = now();
    await load.more(500);
    expect(problemsOf(await load.finish(from, now()), { duplicates: BATCH, copies: 2 })).toEqual([]);
    expect(load.application.log.lines.join('\n')).toMatch(/«events» was deleted/);
    await survives(server);
  });
});
