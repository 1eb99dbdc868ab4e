import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import { connect } from 'amqplib';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { Random } from '../fault/random.js';
import { legacy, QUEUE, taken, WANTED } from './support/legacy.js';
import { listing } from './support/rabbitmq.js';

const KILLS = Number(process.env.KILLS ?? (process.env.LONG_RUNS ? 400 : 40));

describeRabbit('a queue whose migration is killed', (rabbit) => {
  test(`killed at ${KILLS} points, with publishers at work, it ends with every message, and with no other queue`, async () => {
    const random = new Random(7);
    const kills = { left: KILLS };
    let published = 0;
    const round = async (): Promise<void> => {
      const url = await rabbit.freshVhostUrl();
      const ids = await legacy(url, 40);
      const publisher = await publishing(url, ids);
      for (;;) {
        const writes = kills.left > 0 ? random.between(1, 320) : Infinity;
        const killed = await attempt(url, writes);
        if (!killed) break;
        kills.left--;
      }
      await publisher.stop();
      published += ids.length;
      const found = new Set((await taken(url)).map(({ id }) => id));
      expect(ids.filter((id) => !found.has(id))).toEqual([]);
      expect(await listing(rabbit, url)).not.toContain('migrating');
    };
    const rounds = async (): Promise<void> => {
      while (kills.left > 0) await round();
    };
    await Promise.all([rounds(), rounds(), rounds()]);
    expect(published).toBeGreaterThan(100);
  }, 600_000);
});

/** True: it was killed. */
function attempt(url: string, writes: number): Promise<boolean> {
  const workerData = { system: 'rabbitmq', options: { url }, request: WANTED[0], queue: QUEUE, writes };
  const worker = new Worker(join(__dirname, 'worker.mjs'), { workerData });
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', (code) =>
      code === 9 ? resolve(true) : code === 0 ? resolve(false) : reject(new Error(`exit ${code}`)),
    );
  });
}

/** Publishes by route, and keeps the ids of what was confirmed, until it is stopped. */
async function publishing(url: string, ids: string[]): Promise<{ stop(): Promise<void> }> {
  const connection = await connect(url);
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const messageId = randomUUID();
      channel.publish('events', 'legacy.order', Buffer.from('{}'), { messageId, persistent: true, mandatory: true });
      await channel.waitForConfirms();
      ids.push(messageId);
      await pause(20);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      await connection.close();
    },
  };
}
