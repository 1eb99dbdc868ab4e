import { afterEach, expect, test } from '@jest/globals';
import { redis as transport } from 'nestjs-messaging/redis';
import { describeRedisNode, type RedisBroker } from '../brokers/redis.js';
import type { RedisServer } from '../brokers/redis/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { survived } from '../fault/under-load.js';
import { closeTransports, PlainTransport } from './client.js';

const SLOTS = 16_384;
const password = 'cluster';

/** Nodes that share all slots. */
async function cluster(redis: RedisBroker, count: number): Promise<RedisServer[]> {
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': '2000',
    'cluster-announce-ip': '127.0.0.1',
  };
  const nodes = await Promise.all(Array.from({ length: count }, () => redis.start({ password, settings })));
  for (const [at, node] of nodes.entries()) {
    const [from, to] = [Math.floor((at * SLOTS) / count), Math.floor(((at + 1) * SLOTS) / count) - 1];
    await node.command('cluster', 'addslotsrange', from, to);
    if (at > 0) await nodes[0].command('cluster', 'meet', '127.0.0.1', node.port);
  }
  for (const node of nodes) {
    const isWhole = async (): Promise<boolean> => {
      const info = await node.command<string>('cluster', 'info');
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`);
    };
    await waitFor(isWhole, 'a whole cluster');
  }
  return nodes;
}

const start = (nodes: readonly RedisServer[]): Promise<Load> => {
  const url = nodes.map((node) => node.url.replace(/\/0$/, '')).join(',');
  return Load.start(transport({ url, cluster: true, lease: 2_000, pollInterval: 200 }), 2_000);
};

/** Moves a slot with its keys, as an operator does: whoever asks meanwhile is sent to and fro. */
async function move(slot: number, from: RedisServer, to: RedisServer): Promise<number> {
  const [source, target] = [await from.command<string>('cluster', 'myid'), await to.command<string>('cluster', 'myid')];
  await to.command('cluster', 'setslot', slot, 'importing', source);
  await from.command('cluster', 'setslot', slot, 'migrating', target);
  let moved = 0;
  for (;;) {
    const keys = await from.command<string[]>('cluster', 'getkeysinslot', slot, 2);
    if (keys.length === 0) break;
    await from.command('migrate', '127.0.0.1', to.port, '', 0, 5_000, 'auth', password, 'keys', ...keys);
    moved += keys.length;
  }
  await to.command('cluster', 'setslot', slot, 'node', target);
  await from.command('cluster', 'setslot', slot, 'node', target);
  return moved;
}

describeRedisNode('a cluster', (redis) => {
  afterEach(() => Promise.all([closeApplications(), closeTransports()]));

  test('of one node runs every script: all keys are in one slot', async () => {
    const nodes = await cluster(redis, 1);
    const load = await start(nodes);
    await survived(load, async () => void (await nodes[0].command('script', 'flush')), { each: 200 });
  });

  test('is refused by name where the option for it is not set', async () => {
    const nodes = await cluster(redis, 2);
    const slot = await nodes[0].command<number>('cluster', 'keyslot', '{messaging}:version');
    const other = nodes[slot < SLOTS / 2 ? 1 : 0];
    await expect(PlainTransport.connect({ url: other.url })).rejects.toMatchObject({
      code: 'BROKER_CONFIGURATION',
      message: expect.stringMatching(/is a node of a cluster .*Set «cluster» to true/),
    });
  });

  const longRun = process.env.LONG_RUNS === '1' ? test : test.skip;
  longRun('of three nodes loses nothing when the slot is moved under load, to and fro', async () => {
    const nodes = await cluster(redis, 3);
    const load = await start(nodes);
    const slot = await nodes[0].command<number>('cluster', 'keyslot', '{messaging}:version');
    let owner = nodes[Math.floor((slot * 3) / SLOTS)];
    const fault = async (): Promise<void> => {
      const next = nodes[(nodes.indexOf(owner) + 1) % 3];
      expect(await move(slot, owner, next)).toBeGreaterThan(3);
      owner = next;
    };
    await survived(load, fault, { times: 4, each: 300 });
  });
});
