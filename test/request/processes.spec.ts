import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { Requester } from 'nestjs-messaging/request';
import { describeNats } from '../brokers/nats.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { Program, type Running } from '../e2e/support/program.js';

const WITHIN = 60_000;
/** What a process on NATS had is given to another after this. */
const ACK_WAIT = 2_000;

// A process that answers, or asks, and dies where it is told to.
const PROGRAM = `
import 'reflect-metadata';
import { appendFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';

const { AMQP_URL: url, NATS_URL: servers, ROLE, DIES, JOURNAL } = process.env;
const transport = url ? rabbitmq({ url, exchange: 'events' }) : nats({ servers, syncAlways: true, ackWait: ${ACK_WAIT} });
const service = ROLE === 'asks' ? 'shop' : 'quotes';
const module = MessagingModule.forRoot({ service, transport });
const app = await NestFactory.createApplicationContext(module, { logger: false });
const messaging = app.get(Messaging);
const note = (...words) => appendFileSync(JOURNAL, words.join(' ') + '\\n');
const die = () => process.kill(process.pid, 'SIGKILL');
if (ROLE === 'asks') {
  messaging.requester.request('quote', { item: 'asked' }, { timeout: 60_000 }).catch(() => {});
} else {
  const answers = { always: true };
  await messaging.subscribe({ route: 'quote', answers, nats: undefined }, async ({ item }) => {
    if (DIES === 'before') return die();
    note('effect', item, ROLE);
    if (DIES === 'after') return die();
    return { by: ROLE };
  });
}
note('ready', ROLE);
`;

describeRabbit('requests of processes that are killed', (rabbit) =>
  suite(async () => {
    const url = await rabbit.freshVhostUrl();
    return { factory: () => rabbitmq({ url, exchange: 'events' }), env: { AMQP_URL: url } };
  }),
);
describeNats('requests of processes that are killed', (server) =>
  suite(async () => {
    const servers = await server.url();
    return {
      factory: () => nats({ servers, syncAlways: true, ackWait: ACK_WAIT }),
      env: { NATS_URL: servers },
    };
  }),
);

interface Place {
  readonly factory: () => TransportFactory;
  readonly env: Readonly<Record<string, string>>;
}

function suite(fresh: () => Promise<Place>): void {
  let program: Program;
  let place: Place;

  beforeEach(async () => {
    program = new Program(PROGRAM);
    place = await fresh();
  }, WITHIN);
  afterEach(async () => {
    await closeApplications();
    await program.close();
  }, WITHIN);

  const lines = (first: string): string[] =>
    program
      .lines()
      .filter(([word]) => word === first)
      .map((line) => line.slice(1).join(' '));

  async function start(ROLE: string, DIES = ''): Promise<Running> {
    const running = program.start({ AMQP_URL: '', NATS_URL: '', ...place.env, ROLE, DIES });
    await waitFor(() => lines('ready').includes(ROLE) || !running.alive, `${ROLE} to be ready`, WITHIN);
    if (!running.alive) throw new Error(running.output);
    return running;
  }

  const shop = (): Promise<Application> =>
    boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport: place.factory() })] });

  test.each([
    ['before its effect: there is one effect', 'before', ['book second']],
    ['after its effect: there are two', 'after', ['book first', 'book second']],
  ])(
    'a responder is killed %s, and the request has one answer, of another',
    async (_, dies, effects) => {
      const first = await start('first', dies);
      const requester = (await shop()).get(Requester);
      const asked = requester.request('quote', { item: 'book' }, { timeout: WITHIN });
      await first.ended;
      await start('second');
      expect(await asked).toEqual({ by: 'second' });
      expect(lines('effect')).toEqual(effects);
      expect(requester.unexpected).toEqual({ late: 0, second: 0, unknown: 0 });
    },
    2 * WITHIN,
  );

  test(
    'a requester is killed: its request is handled once, its answer disturbs nobody, and others are answered',
    async () => {
      const answering = await boot({
        imports: [MessagingModule.forRoot({ service: 'quotes', transport: place.factory() })],
      });
      const gate = new AbortController();
      const begun: string[] = [];
      await answering.messaging.subscribe({ route: 'quote', answers: { always: true } }, async (payload) => {
        const { item } = payload as { item: string };
        begun.push(item);
        if (item === 'asked' && !gate.signal.aborted)
          await new Promise((resolve) => gate.signal.addEventListener('abort', resolve));
        return { item };
      });
      const asking = await start('asks');
      await waitFor(() => begun.length === 1, 'its request', WITHIN);
      await asking.end('SIGKILL');
      gate.abort();
      const requester = (await shop()).get(Requester);
      expect(await requester.request('quote', { item: 'next' }, { timeout: WITHIN })).toEqual({ item: 'next' });
      await waitFor(
        () => answering.messaging.health().consumers.every(({ inFlight }) => inFlight === 0),
        'an end',
        WITHIN,
      );
      expect(begun).toEqual(['asked', 'next']);
      expect(requester.unexpected).toEqual({ late: 0, second: 0, unknown: 0 });
      expect(await answering.messaging.deadLetters.count()).toBe(0);
    },
    2 * WITHIN,
  );
}
