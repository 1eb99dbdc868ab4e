import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import {
  memory,
  type MessagingModuleOptions,
  MessagingModule,
  sqliteDeadLetterArchive,
  systemClock,
  type TransportFactory,
} from 'nestjs-messaging';
import type { DeadLetterAlert } from 'nestjs-messaging/health';
import { kafka } from 'nestjs-messaging/kafka';
import { postgres } from 'nestjs-messaging/postgres';
import { redis } from 'nestjs-messaging/redis';
import {
  type DeadLetterArchiveFactory,
  postgresDeadLetterArchive,
  redisDeadLetterArchive,
} from 'nestjs-messaging/stores';
import { archiveEntry } from '../../lib/dead-letter/dead-letter-collector.js';
import { describeKafka } from '../brokers/kafka.js';
import { describePostgres } from '../brokers/postgres.js';
import { describeRedis } from '../brokers/redis.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event } from '../e2e/support/application.js';
import { describeAllBrokers } from '../e2e/support/brokers.js';
import { plainRedis } from '../redis/plain.js';
import { letter } from '../unit/support/dead-letters.js';

const WITHIN = 60_000;
const COUNT = 6;
const given = Array.from({ length: COUNT }, (_, n) => `m${n}`);
const folders: string[] = [];
jest.setTimeout(120_000);
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

type Options = Pick<MessagingModuleOptions, 'transport' | 'deadLetters' | 'alerts'>;

/** Processes of one service, one after the other, whose handler fails; and what their limits delete. */
class Service {
  readonly name = `limits-${randomUUID().slice(0, 8)}`;
  readonly route = `${this.name}.job`;
  readonly expired: [string, string][] = [];
  readonly alerts: DeadLetterAlert[] = [];

  async start({ alerts, ...options }: Options): Promise<Application> {
    const told = alerts && { ...alerts, onAlert: (alert: DeadLetterAlert) => void this.alerts.push(alert) };
    const module = MessagingModule.forRoot({
      service: this.name,
      retry: false,
      ...options,
      ...(told && { alerts: told }),
    });
    const application = await boot({ imports: [module] });
    application.messaging.events.on('dead-letter-expired', ({ id, cause }) => this.expired.push([id, cause]));
    await application.messaging.subscribe({ route: this.route }, () => {
      throw new Error('broken');
    });
    return application;
  }

  async untilExpired(count: number): Promise<void> {
    await waitFor(() => this.expired.length >= count, `${count} to go`, WITHIN);
  }
}

afterEach(closeApplications);

function inQueues(open: () => Promise<() => TransportFactory>): void {
  test('the oldest go when they are too many, and all when they are too old; an alert is raised by what is left', async () => {
    const transport = await open();
    const service = new Service();
    const first = await service.start({ transport: transport(), alerts: { deadLetters: { above: COUNT - 1 } } });
    for (const id of given) {
      const dead = event(first.messaging, 'dead-lettered');
      await first.messaging.publisher.publish(service.route, {}, { id });
      await dead;
    }
    await waitFor(() => service.alerts.length > 0, 'the alert', WITHIN);
    expect(service.alerts).toMatchObject([{ kind: 'dead-letters', state: 'raised', count: COUNT }]);
    expect(first.messaging.health()).toMatchObject({ status: 'degraded' });
    await first.close();

    const limits = { deadLetters: { maxCount: 2 }, alerts: { deadLetters: { above: 2 } } };
    const second = await service.start({ transport: transport(), ...limits });
    await service.untilExpired(COUNT - 2);
    expect(service.expired).toEqual(given.slice(0, -2).map((id) => [id, 'maxCount']));
    await second.close();
    // Counted after what is too much has gone.
    expect(service.alerts).toHaveLength(1);

    const third = await service.start({ transport: transport(), deadLetters: { maxAge: 1 } });
    await service.untilExpired(COUNT);
    expect(service.expired.slice(-2)).toEqual(given.slice(-2).map((id) => [id, 'maxAge']));
    expect(third.messaging.health().deadLetters.expiry).toMatchObject({ expired: { maxAge: 2, maxCount: 0 } });
    // Some brokers note a moment later what is gone.
    await waitFor(async () => (await third.messaging.deadLetters.count()) === 0, 'nothing left', WITHIN);
  });
}

describe('limits of dead letters in their queue', () => {
  describeAllBrokers('of', (fresh) => inQueues(fresh));
  describePostgres('of', (server) =>
    inQueues(async () => {
      const url = await server.url();
      return () => postgres({ url });
    }),
  );
  describeRedis('of', (server) =>
    inQueues(async () => {
      const url = await server.url();
      return () => redis({ url, prefix: 'limits' });
    }),
  );
  describeKafka('of', (server) =>
    inQueues(async () => {
      const brokers = await server.url();
      const topic = `limits-${randomUUID()}`;
      return () => kafka({ brokers, topic, partitions: 1 });
    }),
  );
});

function inArchive(open: () => Promise<DeadLetterArchiveFactory>): void {
  test('the oldest go when they are too many, and all when they are too old, but what may be tried again', async () => {
    const archive = await open();
    const service = new Service();
    const store = archive.create({ clock: systemClock });
    const letters = given.map((id, n) => letter(id, { 'messaging-origin-time': 1_000 + n }));
    await store.add(letters.map((one) => archiveEntry(`${service.name}:dlq`, one)));
    const [kept] = await store.page({}, 0, 1);
    await store.allowRetry([kept.key], true);
    await store.claim([kept.key], 'somebody', WITHIN);
    const ids = async (): Promise<string[]> => (await store.page({}, 0, 100)).map(({ message }) => message.id);

    const first = await service.start({ transport: memory(), deadLetters: { archive, maxCount: 3 } });
    await service.untilExpired(2);
    expect(service.expired).toEqual(given.slice(1, 3).map((id) => [id, 'maxCount']));
    expect(await ids()).toEqual(['m0', ...given.slice(3)]);
    await first.close();
    await service.start({ transport: memory(), deadLetters: { archive, maxAge: 60_000 } });
    await service.untilExpired(5);
    expect(service.expired.slice(2)).toEqual(given.slice(3).map((id) => [id, 'maxAge']));
    expect(await ids()).toEqual(['m0']);
    await store.close();
  });
}

describe('limits of dead letters in an archive', () => {
  describe('in a file', () =>
    inArchive(async () => {
      const folder = mkdtempSync(join(tmpdir(), 'limits-'));
      folders.push(folder);
      return sqliteDeadLetterArchive({ file: join(folder, 'archive.sqlite') });
    }));
  describePostgres('in', (server) => inArchive(async () => postgresDeadLetterArchive({ url: await server.url() })));
  describeRedis('in', (server) => {
    const clients: Redis[] = [];
    afterAll(() => clients.forEach((client) => client.disconnect()));
    inArchive(async () => {
      const client = plainRedis(await server.url());
      clients.push(client);
      return redisDeadLetterArchive({ client });
    });
  });
});
