import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { diskRetryQueue, MessagingModule, Publisher } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, type Application } from '../e2e/support/application.js';
import { AmqpGate } from '../fault/amqp-gate.js';
import { Client, message, outgoing, topologyOf, toQueue, toRoute } from './client.js';

const POISON = 'poison-that-no-broker-can-read';
const poison = { headers: { bad: POISON } };

describeRabbit('a message over which the broker closes the connection', (rabbit) => {
  let gate: AmqpGate;
  let url: string;
  let straight: string;

  beforeEach(async () => {
    straight = await rabbit.freshVhostUrl();
    const target = new URL(straight);
    gate = await AmqpGate.start(Number(target.port || 5672));
    gate.closeOver(POISON);
    url = Object.assign(target, { hostname: '127.0.0.1', port: String(gate.port) }).href;
  });
  afterEach(() => gate.close());

  it('is refused, and everything in flight with it goes: one connection is lost, not one after the other', async () => {
    const client = await Client.connect(url);
    await client.transport.declare(topologyOf('poisoned'));
    const bad = [7, 8, 30];
    const batch = Array.from({ length: 40 }, (_, n) => toRoute('poisoned', `${n}`, bad.includes(n) ? poison : {}));
    const results = await client.publish(...batch);
    for (const n of bad) expect(results[n]).toMatchObject({ status: 'refused', error: { code: 'PUBLISH_REFUSED' } });
    expect(results.filter(({ status }) => status === 'confirmed')).toHaveLength(37);
    expect(client.count('disconnected')).toBe(1);
    // Once together, then twice alone each.
    expect(gate.closed).toBe(1 + 2 * bad.length);
    const consumer = await client.consume(topologyOf('poisoned'));
    await waitFor(() => new Set(consumer.ids).size === 37, 'all but the three');
    await client.close();
  });

  it('holds up nobody: what is published after it is confirmed meanwhile', async () => {
    const client = await Client.connect(url);
    await client.transport.declare(topologyOf('others'));
    const held = client.publish(toRoute('others', 'bad', poison), toRoute('others', 'good'));
    await waitFor(() => client.count('disconnected') === 1, 'the end of the connection');
    await client.insist(toRoute('others', 'later'));
    expect((await held).map(({ status }) => status)).toEqual(['refused', 'confirmed']);
    await client.close();
  });

  it.each([
    ['a copy to a queue', toQueue('tests:copied:queue', 'copy', poison)],
    ['a delayed copy', toQueue('tests:copied:queue', 'late', poison, { dueAt: Date.now() + 3_600_000 })],
    ['a dead letter', outgoing({ kind: 'dead-letter', route: 'tests:copied:dlq' }, message('dead', poison))],
  ])('is refused as %s too', async (_, one) => {
    const client = await Client.connect(url);
    await client.transport.declare(topologyOf('copied'));
    const [refused, other] = await client.publish(one, toRoute('copied', 'other'));
    expect(refused).toMatchObject({ status: 'refused', error: { code: 'PUBLISH_REFUSED' } });
    expect(['confirmed', 'failed']).toContain(other.status);
    expect(client.count('disconnected')).toBe(1);
    await client.close();
  });

  it('inherited from the disk by the next process it becomes a dead letter of the publisher, and the others go', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'closed-connections-'));
    const start = (address: string): Promise<Application> =>
      boot({
        imports: [
          MessagingModule.forRoot({
            service: 'heir',
            transport: rabbitmq({ url: address }),
            reconnect: { initial: 20, max: 200 },
            retryQueue: { store: diskRetryQueue({ directory }), interval: 100 },
            shutdownTimeout: 2_000,
          }),
        ],
      });
    const plain = await connect(straight);
    const channel = await plain.createChannel();
    await channel.assertExchange('events', 'topic');
    await channel.assertQueue('inbox');
    await channel.bindQueue('inbox', 'events', 'inherited');
    // Nobody answers there; the virtual host is part of what the files are for.
    const first = await start(Object.assign(new URL(url), { port: '1' }).href);
    for (let n = 0; n < 20; n++)
      await first.get(Publisher).publish('inherited', { n }, { id: `${n}`, ...(n === 5 ? poison : {}) });
    await first.close();
    const second = await start(url);
    const { messaging } = second;
    await waitFor(() => messaging.health().retryQueue.depth === 0, 'an empty retry queue');
    expect(messaging.health().deadLetters.publisher).toBe(1);
    expect(gate.closed).toBe(3);
    expect((await channel.checkQueue('inbox')).messageCount).toBeGreaterThanOrEqual(19);
    await second.close();
    await plain.close();
    await rm(directory, { recursive: true });
  });

  it('has a result, as all others have, when its transport is closed meanwhile', async () => {
    const client = await Client.connect(url);
    await client.transport.declare(topologyOf('closing'));
    const results = client.publish(toRoute('closing', 'bad', poison), toRoute('closing', 'good'));
    await waitFor(() => client.count('disconnected') === 1, 'the end of the connection');
    await gate.close();
    await client.close();
    expect(await results).toHaveLength(2);
  });
});
