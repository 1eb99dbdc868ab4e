import { afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { Program, type Running } from '../e2e/support/program.js';

jest.setTimeout(240_000);

const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
const { JOURNAL, BROKERS, DEADLY } = process.env;
const write = (...words) => appendFileSync(JOURNAL, words.join(' ') + '\\n');
const transport = kafka({ brokers: BROKERS, topic: 'killed', partitions: 4, sessionTimeout: 6_000 });
const module = MessagingModule.forRoot({ service: 'orders', transport });
const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
await app.get(Messaging).subscribe({ route: 'work', prefetch: 10 }, async (_, { id }) => {
  write('start', id, process.pid);
  if (id === DEADLY) process.kill(process.pid, 'SIGKILL');
  write('end', id, process.pid);
});
process.on('SIGTERM', () => app.close());
write('up', '-', process.pid);
`;

const DEADLY = 'm100';
const MESSAGES = 200;

/** A message whose handler ends the process, each time. */
describeKafka(
  'a message that ends its process',
  (broker) => {
    let server: KafkaServer;
    let program: Program | undefined;

    beforeAll(async () => {
      server = await broker.start();
    });
    afterEach(closeApplications);
    afterEach(() => program?.close());

    test('costs nothing but its processes: the others are handled, and so is this one where a process survives it', async () => {
      const transport = kafka({ brokers: server.url, topic: 'killed', partitions: 4, sessionTimeout: 6_000 });
      const { get, messaging } = await boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport })] });
      // The place of the group is before all that is published.
      await (await messaging.subscribe({ route: 'work' }, () => {})).stop();
      const own = (program = new Program(PROGRAM));
      /** The processes that wrote this, once each time. */
      const pids = (what: string, of: string): string[] =>
        own.lines().flatMap(([one, id, pid]) => (one === what && id === of ? [pid] : []));
      const start = (deadly: string): Running => own.start({ BROKERS: server.url, DEADLY: deadly });
      start(DEADLY);
      start(DEADLY);
      await waitFor(() => pids('up', '-').length === 2, 'two processes', 90_000);
      const publisher = get(Publisher);
      for (let at = 0; at < MESSAGES; at++)
        await publisher.publish('work', {}, { id: `m${at}`, key: `key-${at % 16}` });
      await waitFor(() => pids('start', DEADLY).length === 2, 'the end of both processes', 60_000);
      start('none');
      const handled = (): ReadonlySet<string> =>
        new Set(own.lines().flatMap(([one, id]) => (one === 'end' ? [id] : [])));
      await waitFor(() => handled().size === MESSAGES, 'every message', 90_000);
      expect(new Set(pids('start', DEADLY)).size).toBe(3);
      expect(pids('end', DEADLY)).toHaveLength(1);
    });
  },
  { own: true },
);
