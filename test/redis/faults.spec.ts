import { afterEach, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { redis as transport } from 'nestjs-messaging/redis';
import { describeRedisNode } from '../brokers/redis.js';
import type { RedisServer } from '../brokers/redis/server.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications, event } from '../e2e/support/application.js';
import type { Account } from '../fault/checker.js';
import { Load } from '../fault/load.js';
import { loseAnswers, survived } from '../fault/under-load.js';
import { plainRedis } from './plain.js';

/** Each fault in the middle of publishing and handling: nothing is lost, and what comes twice was under way. */
describeRedisNode('under load, nothing is lost when', (redis) => {
  const proxies: Proxy[] = [];
  const clients: Redis[] = [];

  afterEach(async () => {
    await closeApplications();
    for (const client of clients.splice(0)) client.disconnect();
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  });

  const start = (url: string, confirmTimeout?: number): Promise<Load> =>
    Load.start(transport({ url, lease: 2_000, pollInterval: 200 }), 2_000, confirmTimeout);

  /** A client of somebody else. */
  function plain(server: RedisServer): Redis {
    const client = plainRedis(server.url);
    clients.push(client);
    return client;
  }

  async function proxied(server: RedisServer): Promise<{ proxy: Proxy; url: string }> {
    const proxy = await Proxy.start(server.url);
    proxies.push(proxy);
    return { proxy, url: proxy.url(server.url) };
  }

  function check(load: Load, fault: () => Promise<void>, times = 1): Promise<Account> {
    return survived(load, fault, { times, each: 300 });
  }

  test('the server is killed and started again', async () => {
    const server = await redis.start();
    const load = await start(server.url);
    const lost = event(load.messaging, 'disconnected');
    await check(load, () => server.restart(), 3);
    await lost;
  });

  test('each client is killed, again and again: no error of a client ends the process', async () => {
    const server = await redis.start();
    const load = await start(server.url);
    const client = plain(server);
    const kill = async (): Promise<void> => {
      expect(await client.call('client', 'kill', 'type', 'normal', 'skipme', 'yes')).toBeGreaterThan(0);
    };
    await check(load, kill, 5);
  });

  test('the connection that hears what is new is killed', async () => {
    const server = await redis.start();
    const load = await start(server.url);
    const client = plain(server);
    const kill = async (): Promise<void> => void (await client.call('client', 'kill', 'type', 'pubsub'));
    await check(load, kill, 3);
  });

  test('connections are cut', async () => {
    const server = await redis.start();
    const { proxy, url } = await proxied(server);
    const load = await start(url);
    await check(load, async () => expect(proxy.reset()).toBeGreaterThan(0), 5);
  });

  test('answers are lost', async () => {
    const server = await redis.start();
    const { proxy, url } = await proxied(server);
    const load = await start(url);
    await check(load, () => loseAnswers(load, proxy));
  });

  test('its connections are half-open: nothing comes through, and nobody says so', async () => {
    const server = await redis.start();
    const { proxy, url } = await proxied(server);
    const load = await start(url);
    await check(
      load,
      async () => {
        const lost = event(load.messaging, 'disconnected');
        proxy.stall();
        await lost;
        proxy.resume();
      },
      2,
    );
  });

  const stepped = redis.steps ? test : test.skip;
  stepped(
    'the clock of the server is stepped forth and back: nothing comes twice, and the log tells of it',
    async () => {
      const server = await redis.start({ steps: true });
      const load = await start(server.url, 30_000);
      const steps = [3_600_000, -3_600_000, 3 * 86_400_000, 0];
      let at = 0;
      let off = 0;
      const step = async (): Promise<void> => {
        const [before, now] = [off, steps[at++]];
        off = now;
        const told = new RegExp(`The clock of Redis went ${now > before ? 'forward' : 'back'} by`);
        const lines = load.application.log.lines.length;
        await server.stepClock(now);
        const tells = (): boolean => load.application.log.lines.slice(lines).some((line) => told.test(line));
        await waitFor(tells, 'a line about it');
      };
      expect(await check(load, step, steps.length)).toMatchObject({ duplicated: 0 });
    },
  );

  test('the server pauses its clients for longer than a confirm is waited for', async () => {
    const server = await redis.start();
    const load = await start(server.url);
    const lost = event(load.messaging, 'disconnected');
    await check(load, async () => {
      await plain(server).client('PAUSE', 4_000);
      await lost;
    });
  });

  test('scripts are forgotten', async () => {
    const server = await redis.start();
    const load = await start(server.url);
    await check(load, async () => void (await plain(server).script('FLUSH')), 5);
  });

  test('memory is full for a while: what is handled goes on, and what is published waits', async () => {
    const server = await redis.start();
    const load = await start(server.url);
    const client = plain(server);
    await check(load, async () => {
      await client.config('SET', 'maxmemory', '1');
      await expect(client.set('full', 'x')).rejects.toThrow(/^OOM/);
      await waitFor(() => load.application.log.lines.some((line) => /memory is full/.test(line)), 'a line about it');
      await client.config('SET', 'maxmemory', '0');
    });
  });

  test('the server becomes a replica, and a primary again', async () => {
    const server = await redis.start();
    const load = await start(server.url);
    const client = plain(server);
    const lost = event(load.messaging, 'disconnected');
    await check(load, async () => {
      await client.replicaof('127.0.0.1', 1);
      await lost;
      await client.replicaof('NO', 'ONE');
    });
  });
});
