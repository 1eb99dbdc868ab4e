import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { Messaging, type MessagingEventMap, type MessagingEventName, Publisher } from 'nestjs-messaging';
import type { RabbitmqNative } from 'nestjs-messaging/rabbitmq';
import { JournalWriter } from '../journal.js';
import { Random } from '../random.js';
import { WorkerModule } from './application.js';
import { Load } from './load.js';
import type { Command, WorkerSettings, WorkerStatus } from './settings.js';
import { Gate } from './work.js';

/** The events that a test waits for, or that the account needs. */
const WRITTEN: readonly MessagingEventName[] = [
  'connected',
  'disconnected',
  'blocked',
  'unblocked',
  'queued',
  'returned',
  'publish-failed',
  'dead-lettered',
  'store-error',
  'consumer-stopped',
];

async function main(settings: WorkerSettings): Promise<void> {
  const journal = new JournalWriter(settings.journal);
  const random = new Random(settings.seed);
  const gate = new Gate();
  const module = WorkerModule.with({ settings, journal, random, gate });
  const app = await NestFactory.create(module, { logger: process.env.FAULT_LOG ? undefined : false });
  app.enableShutdownHooks();
  const messaging = app.get(Messaging);
  for (const name of WRITTEN) writeEvents(messaging, name, journal);
  noteClosing(messaging, journal);
  const load = new Load(settings.name, app.get(Publisher), journal, random);
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();

  const answer = (command: Command): unknown => {
    switch (command.do) {
      case 'load':
        return load.start(command.load);
      case 'stop-load':
        return load.stop();
      case 'publish':
        return load.publishNow(command.publish);
      case 'status':
        return statusOf(messaging, load, port);
      case 'hold':
        return gate.hold(command.on);
      case 'bad-ack':
        return ackNothing(messaging.native() as RabbitmqNative);
      case 'collect-garbage':
        return globalThis.gc?.();
    }
  };
  process.on('message', ({ number, command }: { number: number; command: Command }) => {
    try {
      process.send?.({ number, result: answer(command) });
    } catch (error) {
      process.send?.({ number, error: String((error as Error).stack) });
    }
  });
  // Whoever started it is gone.
  process.on('disconnect', () => process.exit());
  process.send?.({ ready: true });
}

function writeEvents<N extends MessagingEventName>(messaging: Messaging, name: N, journal: JournalWriter): void {
  messaging.events.on(name, (payload: MessagingEventMap[N]) => {
    const { id, delivery, reason, error } = payload as {
      id?: string;
      delivery?: { message: { id: string } };
      reason?: string;
      error?: { message?: string };
    };
    const about = id ?? delivery?.message.id;
    const detail = reason ?? error?.message;
    journal.write({
      e: 'event',
      name,
      ...(about !== undefined && { id: about }),
      ...(detail !== undefined && { detail }),
    });
  });
}

/** Writes down when the intake begins to end. */
function noteClosing(messaging: Messaging, journal: JournalWriter): void {
  const stopIntake = messaging.stopIntake.bind(messaging);
  let noted = false;
  messaging.stopIntake = () => {
    if (!noted) journal.write({ e: 'closing' });
    noted = true;
    return stopIntake();
  };
}

function statusOf(messaging: Messaging, load: Load, httpPort: number): WorkerStatus {
  const { connection, consumers, retryQueue } = messaging.health();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    connection: connection.state,
    consumers: consumers.map(({ state, inFlight }) => ({ state, inFlight })),
    queued: retryQueue.depth,
    unsettled: load.unsettled,
    issued: load.issued,
    memory: { rss, heapUsed, external },
    httpPort,
  };
}

interface OpenChannel {
  readonly consumers: Map<string, unknown>;
  ack(message: { fields: { deliveryTag: number } }): void;
}

/** The broker answers with 406 and closes the channel. */
function ackNothing({ consuming }: RabbitmqNative): number {
  const { channels } = (
    consuming as unknown as { connection: { channels: ({ channel: Partial<OpenChannel> } | null)[] } }
  ).connection;
  const open = channels.map((entry) => entry?.channel).filter((channel) => (channel?.consumers?.size ?? 0) > 0);
  for (const channel of open) channel?.ack?.({ fields: { deliveryTag: 1_000_000 } });
  return open.length;
}

void main(JSON.parse(process.argv[2]) as WorkerSettings);
