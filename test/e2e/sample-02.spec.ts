import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RabbitNode } from '../brokers/rabbitmq/node.js';
import { describeRabbitNode } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Answer, curl, curlLines } from './support/curl.js';

const root = resolve(__dirname, '../..');

/** The sample as `npm start -- 02-disk-retry-queue` runs it. */
class Sample {
  output = '';
  private readonly ended: Promise<unknown>;

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (this.output += data));
    this.ended = once(child, 'exit');
  }

  static async start(env: Record<string, string>): Promise<Sample> {
    const args = ['scripts/start.mjs', '02-disk-retry-queue'];
    const sample = new Sample(
      spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...env, PORT: '0', NO_COLOR: '1' } }),
    );
    const ready = (): boolean => sample.output.includes('Ctrl+C') || sample.child.exitCode !== null;
    await waitFor(ready, 'the guide', 110_000);
    return sample;
  }

  get url(): string {
    return /http:\/\/localhost:\d+/.exec(this.output)?.[0] ?? `no address in: ${this.output}`;
  }

  get lines(): string[] {
    return curlLines(this.output);
  }

  pay(account: string, cents: number): Promise<Answer> {
    const body = JSON.stringify({ account, cents });
    return curl(`curl -s -X POST ${this.url}/payments -H 'content-type: application/json' -d '${body}'`);
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<unknown> {
    this.child.kill(signal);
    return this.ended;
  }
}

describe('sample 02, the retry queue on disk', () => {
  describeRabbitNode('on a broker that goes away', (rabbit) => {
    let node: RabbitNode;
    let directory: string;
    let env: Record<string, string>;
    const running: Sample[] = [];

    beforeAll(async () => {
      node = await rabbit.start();
      directory = await mkdtemp(join(tmpdir(), 'sample-02-'));
      env = { AMQP_URL: node.url(), QUEUE_DIRECTORY: join(directory, 'queue') };
    }, 60_000);

    afterAll(async () => {
      await Promise.all(running.map((sample) => sample.end('SIGKILL')));
      await rm(directory, { recursive: true, force: true });
    });

    const start = async (): Promise<Sample> => {
      const sample = await Sample.start(env);
      running.push(sample);
      return sample;
    };

    test('books, after a restart of both, every payment it took while the broker was away before it was killed', async () => {
      const first = await start();
      const [place, queue, payments] = first.lines;
      await waitFor(async () => (await curl(place)).body.outcome === 'confirmed', 'a confirmed payment', 30_000);
      await waitFor(async () => (await curl(payments)).body.length > 0, 'its booking', 30_000);
      expect((await first.pay('', 1)).status).toBe(400);
      expect((await first.pay('ada', 0.5)).status).toBe(400);

      await node.kill();
      await waitFor(async () => (await first.pay('probe', 1)).body.outcome === 'queued', 'the outage', 30_000);
      const taken: string[] = [];
      for (let cents = 1; cents <= 20; cents++) {
        const { status, body } = await first.pay('ada', cents);
        expect({ status, body }).toEqual({
          status: 201,
          body: { id: expect.any(String), outcome: 'queued', stored: 'disk' },
        });
        taken.push(body.id);
      }
      const { body: waiting } = await curl(queue);
      expect(waiting).toMatchObject({ store: 'disk', healthy: true });
      expect(waiting.depth).toBeGreaterThanOrEqual(taken.length);
      await first.end('SIGKILL');

      const [second] = await Promise.all([start(), node.restart()]);
      const bookings = async (): Promise<any[]> => (await curl(`curl ${second.url}/payments`)).body as any[];
      const booked = async (): Promise<string[]> =>
        (await bookings())
          .filter(({ account, cents }) => account === 'ada' && cents <= 20)
          .map(({ id }) => id as string);
      await waitFor(async () => (await booked()).length === taken.length, 'every payment', 60_000);
      expect(await booked()).toEqual(taken);
      await waitFor(async () => (await curl(`curl ${second.url}/queue`)).body.depth === 0, 'an empty queue', 30_000);
      expect(await second.end('SIGTERM')).toEqual([0, null]);
    }, 240_000);
  });
});
