import { afterAll, expect, it } from '@jest/globals';
import { type ChannelModel, connect } from 'amqplib';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Program } from './support/program.js';

/** With a heartbeat of a second the broker ends a connection that is silent for some two; the handler holds the loop for longer. */
const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
const { URL: url, HOW: how, JOURNAL: journal } = process.env;
const say = (...words) => appendFileSync(journal, words.join(' ') + '\\n');
const compute = ({ id, attempt }) => {
  say('begins', id, attempt);
  const end = Date.now() + (id === 'hard' ? 6_000 : 0);
  while (Date.now() < end);
  say('ends', id, attempt);
};
const transport = rabbitmq({ url, exchange: 'events', heartbeat: 1 });
const module = MessagingModule.forRoot({ service: 'worker', transport, reconnect: { initial: 50, max: 100 } });
const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
const messaging = app.get(Messaging);
messaging.events.on('disconnected', () => say('disconnected'));
process.on('SIGTERM', () => app.close());
if (how === 'receive') {
  say('ready');
  for await (const message of messaging.receive('work')) {
    compute(message);
    await message.ack();
  }
} else {
  await messaging.subscribe({ route: 'work' }, (_, context) => compute(context));
  say('ready');
}
`;

describeRabbit('a handler that holds up the loop of its process for longer than a heartbeat', (rabbit) => {
  const program = new Program(PROGRAM);
  let plain: ChannelModel | undefined;

  afterAll(async () => {
    await program.close();
    await plain?.close();
  });

  it.each(['subscribe', 'receive'])(
    'is called once, its result counts, and others go on: %s',
    async (how) => {
      const url = await rabbit.freshVhostUrl();
      const before = program.lines().length;
      const lines = (): string[] =>
        program
          .lines()
          .slice(before)
          .map((words) => words.join(' '));
      const worker = program.start({ URL: url, HOW: how });
      plain = await connect(url);
      plain.on('error', () => {});
      const channel = await plain.createChannel();
      channel.on('error', () => {});
      const queue = 'worker:work:queue';
      await waitFor(() => lines().includes('ready') || !worker.alive, 'the worker', 30_000);
      await waitFor(async () => {
        const probe = await plain!.createChannel();
        probe.on('error', () => {});
        return probe.checkQueue(queue).then(
          ({ consumerCount }) => consumerCount === 1,
          () => false,
        );
      }, 'its consumer');
      const ids = ['hard', ...Array.from({ length: 10 }, (_, n) => `easy${n}`)];
      for (const messageId of ids)
        channel.publish('events', 'work', Buffer.from('{}'), { messageId, contentType: 'application/json' });
      await waitFor(
        () => ids.every((id) => lines().some((line) => line === `ends ${id} 1`)),
        'all to be handled',
        60_000,
      );
      await waitFor(
        async () => {
          const { messageCount, consumerCount } = await channel.checkQueue(queue);
          return messageCount === 0 && consumerCount === 1;
        },
        'the queue to be empty',
        60_000,
      );
      await worker.end('SIGTERM');
      expect(lines()).toContain('disconnected');
      expect(lines().filter((line) => line.startsWith('begins hard'))).toEqual(['begins hard 1']);
      const dead = await channel.checkQueue('worker:work:dlq');
      expect([dead.messageCount, (await channel.checkQueue(queue)).messageCount]).toEqual([0, 0]);
    },
    180_000,
  );
});
