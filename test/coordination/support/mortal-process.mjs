// What a worker process of these tests is made of: a clock that runs faster, a store that tells what is asked of it, and an
// end at the point that the test has chosen.
import 'reflect-metadata';
import { writeSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, systemClock } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import {
  natsCoordinationStore,
  postgresCoordinationStore,
  redisCoordinationStore,
  sqliteCoordinationStore,
} from 'nestjs-messaging/stores';

/** `fatal`: { point, nth }, or undefined for a process that lives until its input ends. */
export const { store, servers, base, speed, fatal } = JSON.parse(process.argv[2]);

const sinceBoot = () => Number(process.hrtime.bigint()) / 1e6;
/** A line with the machine's time, which is there even where the next step is the end. */
export const tell = (...words) => void writeSync(1, `${[...words, sinceBoot()].join(' ')}\n`);

const reached = new Map();
/** Where the process may end; the time of its end is told. */
export function point(name) {
  const nth = (reached.get(name) ?? 0) + 1;
  reached.set(name, nth);
  if (fatal?.point !== name || fatal.nth !== nth) return;
  tell('killed', name);
  process.kill(process.pid, 'SIGKILL');
}

/** All processes of a test have this one, so that leases take a fraction of their time. */
export const clock = {
  now: () => Math.floor(base + (Date.now() - base) * speed),
  monotonic: () => performance.now() * speed,
  after(ms, callback, { background = false } = {}) {
    const timer = setTimeout(callback, Math.min(ms / speed, 2 ** 31 - 1));
    if (background) timer.unref();
    return () => clearTimeout(timer);
  },
};

const PATIENT_MS = 60_000;
let redisClient;

async function factoryOf({ kind, ...options }) {
  if (kind === 'sqlite') return sqliteCoordinationStore({ ...options, busyTimeout: PATIENT_MS });
  if (kind === 'postgres') return postgresCoordinationStore({ ...options, waitTimeout: PATIENT_MS });
  if (kind === 'nats') return natsCoordinationStore({ ...options, servers, waitTimeout: PATIENT_MS });
  const { Redis } = await import('ioredis');
  redisClient = new Redis(options.url);
  return redisCoordinationStore({ client: redisClient, waitTimeout: PATIENT_MS });
}

/** `around(key, change, ask)`: `ask` asks the store, and resolves with the result and what the last look has found. */
async function watchedStore(around) {
  const factory = await factoryOf(store);
  const create = (environment) => {
    const inner = factory.create(environment);
    return {
      open: async () => inner.open?.(),
      close: () => inner.close(),
      change: (key, change) =>
        around(key, async () => {
          let found;
          const result = await inner.change(key, (state, now) => {
            found = { state, now };
            return change(state, now);
          });
          return { result, ...found };
        }),
    };
  };
  return { ...factory, create };
}

/** `sending(message, send)`: `send` sends it, and resolves when the broker has confirmed it. */
function watchedTransport(sending) {
  const factory = nats({ servers, ackWait: 2_000 * speed });
  const create = () => {
    const transport = factory.create();
    const publish = transport.publish.bind(transport);
    transport.publish = (batch, done) => {
      for (const each of batch)
        sending(each.message, (confirmed) =>
          publish([each], (outgoing, result) => {
            confirmed();
            done(outgoing, result);
          }),
        );
    };
    return transport;
  };
  return { ...factory, create };
}

/** Runs until the input ends. */
export async function run({ around, sending = (_, send) => send(() => {}), providers = [], options = {}, subscribe }) {
  const module = MessagingModule.forRoot({
    service: 'shop',
    transport: watchedTransport(sending),
    coordination: await watchedStore(around),
    clock: speed === 1 ? systemClock : clock,
    confirmTimeout: 30_000 * speed,
    shutdownTimeout: 30_000 * speed,
    ...options,
  });
  class Root {}
  Reflect.defineMetadata('imports', [module], Root);
  Reflect.defineMetadata('providers', providers, Root);
  const app = await NestFactory.createApplicationContext(Root, { logger: ['fatal'] });
  await subscribe?.(app.get(Messaging));
  await new Promise((resolve) => process.stdin.resume().once('end', resolve));
  await app.close();
  redisClient?.disconnect();
}
