import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import {
  type DeadLetterArchive,
  memory,
  MemoryBroker,
  memoryDeadLetterArchive,
  MessagingModule,
  type MessagingModuleOptions,
  sqliteDeadLetterArchive,
  systemClock,
} from 'nestjs-messaging';
import { type DeadLetterArchiveFactory } from 'nestjs-messaging/stores';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { resolveOptions } from '../../lib/messaging.options.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { Program, type Running } from '../e2e/support/program.js';
import { seeded } from '../unit/support/application.js';
import { bodyOf, BrokerClient, ids, QUEUE } from './support/broker-client.js';
import { describeBoth } from './support/describe-both.js';

const folder = mkdtempSync(join(tmpdir(), 'archive-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(closeApplications);

/** An application that gives up what it is told to, with its archive. */
async function shop(
  options: MessagingModuleOptions,
  isBad: () => boolean,
): Promise<Application & { handled: string[] }> {
  const application = await boot({ imports: [MessagingModule.forRoot({ service: 'shop', retry: false, ...options })] });
  const handled: string[] = [];
  await application.messaging.subscribe({ route: 'order.paid', name: 'paid' }, (_, { id }) => {
    if (isBad()) throw new Error('not now');
    handled.push(id);
  });
  return Object.assign(application, { handled });
}

describe('an archive of dead letters', () => {
  test('takes them out of their queue, is searched, and sends back what may be tried again', async () => {
    let bad = true;
    const archive = memoryDeadLetterArchive();
    const { messaging, handled } = await shop({ deadLetters: { archive, interval: 20 } }, () => bad);
    const { deadLetters, publisher } = messaging;
    for (const id of ['a', 'b', 'c']) await publisher.publish('order.paid', { id }, { id, headers: { tenant: id } });
    await waitFor(async () => (await deadLetters.archive.count()) === 3, 'three in the archive');
    await waitFor(async () => (await deadLetters.count()) === 0, 'an empty queue');
    expect(
      await deadLetters.archive.list({ headers: { tenant: 'b' }, route: 'order.*', newerThan: 60_000 }),
    ).toMatchObject([{ id: 'b', reason: 'attempts-exhausted', error: { message: 'not now' }, allowRetry: false }]);
    expect((await deadLetters.archive.list({}, { limit: 1, offset: 1 })).map(({ id }) => id)).toEqual(['b']);
    bad = false;
    expect(await deadLetters.archive.allowRetry({ ids: ['a', 'c'] })).toBe(2);
    await waitFor(() => handled.length === 2, 'two to be handled');
    expect(handled).toEqual(['a', 'c']);
    await waitFor(async () => (await deadLetters.archive.count()) === 1, 'one to be left');
    expect(await deadLetters.archive.delete({ reason: 'attempts-exhausted' })).toBe(1);
    expect(await deadLetters.archive.count()).toBe(0);
  });

  test('that cannot be written leaves them in their queue, is told once, and gets them later', async () => {
    const inner = memoryDeadLetterArchive();
    let full = true;
    const archive: DeadLetterArchiveFactory = {
      ...inner,
      create(environment) {
        const store = inner.create(environment);
        const add = store.add.bind(store);
        store.add = async (entries) => (full ? Promise.reject(new Error('the disk is full')) : add(entries));
        return store;
      },
    };
    const { messaging, log } = await shop({ deadLetters: { archive, interval: 5 } }, () => true);
    const errors: string[] = [];
    messaging.events.on('store-error', ({ operation }) => errors.push(operation));
    await messaging.publisher.publish('order.paid', 1, { id: 'a' });
    await waitFor(() => errors.filter((operation) => operation === 'archive').length >= 3, 'three failures');
    expect(log.lines.filter((line) => line.includes('the disk is full'))).toHaveLength(1);
    full = false;
    await waitFor(async () => (await messaging.deadLetters.archive.count()) === 1, 'the dead letter');
  });

  test('keeps what no queue takes, with its flag, and sends it when there is one', async () => {
    const broker = new MemoryBroker();
    const client = await BrokerClient.connect(memory({ broker }));
    await client.fill(['lost'], () => ({ 'messaging-origin-queue': 'shop:later:queue' }));
    const archive = memoryDeadLetterArchive();
    const { messaging, log } = await shop(
      { transport: memory({ broker }), deadLetters: { archive, interval: 20 } },
      () => true,
    );
    const { deadLetters } = messaging;
    await waitFor(async () => (await deadLetters.archive.count()) === 1, 'it in the archive');
    await deadLetters.archive.allowRetry({ all: true });
    await waitFor(() => log.lines.some((line) => line.includes('could not be sent, it is tried again')), 'a failure');
    expect(await deadLetters.archive.list()).toMatchObject([{ id: 'lost', allowRetry: true }]);
    const came: string[] = [];
    await messaging.subscribe({ route: 'later' }, (_, { id }) => void came.push(id));
    await waitFor(() => came.length === 1, 'it at its queue');
    await client.close();
  });

  test('does not hold up a shutdown while the broker answers nothing', async () => {
    const broker = new MemoryBroker();
    const client = await BrokerClient.connect(memory({ broker }));
    await client.fill(['a']);
    const inner = memoryDeadLetterArchive();
    let claimed = 0;
    const archive: DeadLetterArchiveFactory = {
      ...inner,
      create(environment) {
        const store = inner.create(environment);
        const claim = store.claim.bind(store);
        store.claim = async (...args) => {
          const entries = await claim(...args);
          claimed += entries.length;
          return entries;
        };
        return store;
      },
    };
    const options = { transport: memory({ broker }), shutdownTimeout: 50, deadLetters: { archive, interval: 20 } };
    const { messaging, close } = await shop(options, () => true);
    const { archive: letters } = messaging.deadLetters;
    await waitFor(async () => (await letters.count()) === 1, 'it in the archive');
    broker.faults.block(true);
    await letters.allowRetry({ all: true });
    await waitFor(() => claimed === 1, 'its claim');
    await close();
    expect(messaging.health().connection.state).toBe('closed');
    await client.close();
  });

  test.each<[MessagingModuleOptions['deadLetters'], string]>([
    [{ interval: 5 }, 'nothing without deadLetters.archive'],
    [{ archive: {} as never }, 'sqliteDeadLetterArchive({ file })'],
    [{ archive: memoryDeadLetterArchive(), interval: 0 }, 'a number from 1'],
    [{ store: 1 } as never, 'there are: archive, interval'],
  ])('options that cannot be meant are refused, with the remedy: %j', (deadLetters, text) => {
    expect(() => resolveOptions({ deadLetters })).toThrow(text);
  });

  test('in memory is refused for a broker that survives, and without one there is none to be asked', async () => {
    const transport = rabbitmq({ url: 'amqp://127.0.0.1:1' });
    const wrong = MessagingModule.forRoot({
      service: 's',
      transport,
      deadLetters: { archive: memoryDeadLetterArchive() },
    });
    await expect(boot({ imports: [wrong] })).rejects.toThrow(/sqliteDeadLetterArchive.*survives the process/);
    const { messaging } = await boot({ imports: [MessagingModule.forRoot({})] });
    expect(() => messaging.deadLetters.archive).toThrow(/deadLetters\.archive.*sqliteDeadLetterArchive/);
  });
});

/** Archives dead letters, and handles what is sent back. */
const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, sqliteDeadLetterArchive } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
const { JOURNAL, AMQP_URL, NATS_URL, ARCHIVE } = process.env;
const transport = AMQP_URL ? rabbitmq({ url: AMQP_URL }) : nats({ servers: NATS_URL, syncAlways: true });
const deadLetters = { archive: sqliteDeadLetterArchive({ file: ARCHIVE }), interval: 10 };
const module = MessagingModule.forRoot({ service: 'shop', transport, deadLetters });
const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
await app.get(Messaging).subscribe({ route: 'order.paid', name: 'paid' }, (payload, { id }) => {
  appendFileSync(JOURNAL, id + ' ' + Buffer.from(JSON.stringify(payload)).toString('base64') + '\\n');
});
process.on('SIGTERM', () => app.close());
`;

/** So many while they move; with KILLS set as many while they send back, which waits for the leases of those killed. */
const KILLS = Number(process.env.KILLS ?? 1);
const KILLS_WHILE_SENDING = process.env.KILLS === undefined ? 0 : KILLS;
/** Enough that a kill comes in the middle of them. */
const LETTERS = 200 + KILLS_WHILE_SENDING * 1_000;

describeBoth('two processes that share an archive', (fresh) => {
  let program: Program | undefined;
  let client: BrokerClient | undefined;
  let archive: DeadLetterArchive | undefined;

  afterEach(async () => {
    await program?.close();
    await archive?.close();
    await client?.close();
  });

  test(`lose none of ${LETTERS} dead letters, though they are killed, and send back each once`, async () => {
    const { factory, env } = await fresh();
    const broker = (client = await BrokerClient.connect(factory));
    const own = (program = new Program(PROGRAM));
    const file = own.file('archive.sqlite');
    const view = (archive = sqliteDeadLetterArchive({ file }).create({ clock: systemClock }));
    const all = ids(LETTERS);
    await broker.fill(all);
    const random = seeded(11);
    const start = (): Running => own.start({ ...env, ARCHIVE: file });
    const running = [start(), start()];
    /** Kills one of the two each time so much is done. */
    const kill = async (times: number, done: () => Promise<number>): Promise<void> => {
      for (let time = 1; time <= times; time++) {
        const enough = (time * LETTERS) / (times + 1);
        await waitFor(async () => (await done()) >= enough, `${enough} to be done`, 120_000);
        const at = Math.floor(random() * 2);
        await running[at].end('SIGKILL');
        running[at] = start();
      }
    };

    await kill(KILLS, () => view.count());
    await waitFor(async () => (await view.count()) >= LETTERS, 'all in the archive', 120_000);
    await broker.untilDepth(0);
    const kept = await view.page({}, 0, 10_000);
    expect(kept.map(({ message }) => message.id).sort()).toEqual([...all].sort());
    for (const { message } of kept) expect(message.body.equals(bodyOf(message.id))).toBe(true);

    await view.allowRetry(
      kept.map(({ key }) => key),
      true,
    );
    await kill(KILLS_WHILE_SENDING, async () => LETTERS - (await view.count()));
    await waitFor(async () => (await view.count()) === 0, 'an empty archive', 180_000);
    const handled = (): string[] => own.lines().map(([id]) => id);
    await waitFor(() => new Set(handled()).size === LETTERS, 'all to be handled', 60_000);
    await broker.untilDepth(0, QUEUE);
    await Promise.all(running.map((one) => one.end('SIGTERM')));
    expect([...new Set(handled())].sort()).toEqual([...all].sort());
    for (const [id, body] of own.lines()) expect(Buffer.from(body, 'base64').equals(bodyOf(id))).toBe(true);
    const twice = handled().length - LETTERS;
    console.log(`${KILLS + KILLS_WHILE_SENDING} kills: ${LETTERS} dead letters, 0 lost, ${twice} sent back twice`);
    // A batch, and what was handled and not acked.
    expect(twice).toBeLessThanOrEqual(KILLS_WHILE_SENDING * 50);
    expect(running.map(({ output }) => output)).toEqual(['', '']);
  }, 300_000);
});
