import { beforeAll, expect, it } from '@jest/globals';
import { describeRabbitNode } from '../brokers/rabbitmq.js';
import type { RabbitNode } from '../brokers/rabbitmq/node.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, message, outgoing, topologyOf, toRoute } from './client.js';

const TIMEOUT = 1_000;

/** A quorum queue that answers nobody, as one whose majority is gone. */
describeRabbitNode('a hung queue', (rabbit) => {
  let node: RabbitNode;
  beforeAll(async () => void (node = await rabbit.start()), 60_000);

  const connect = (): Promise<Client> => Client.connect(node.url(), { environment: { confirmTimeout: TIMEOUT } });
  const hang = (name: string, on: boolean): Promise<void> => node.hangQueue('/', `tests:${name}:queue`, on);

  it('costs the others one channel; then it is probed by one message at a time until it confirms', async () => {
    const client = await connect();
    const sick = await client.consume(topologyOf('sick'));
    const well = await client.consume(topologyOf('well'));
    await hang('sick', true);
    const first = await client.publish(...range(40).map((n) => toRoute('sick', `first-${n}`)));
    expect(first.every(({ status }) => status === 'failed')).toBe(true);
    expect(client.count('disconnected')).toBe(1);
    await waitFor(() => client.count('connected') === 2, 'a new channel');
    for (let round = 0; round < 3; round++) {
      const probing = client.publish(...range(40).map((n) => toRoute('sick', `later-${n}`)));
      const others = await client.publish(...range(40).map((n) => toRoute('well', `${round}-${n}`)));
      expect(others.every(({ status }) => status === 'confirmed')).toBe(true);
      const probed = await probing;
      expect(probed.every(({ status }) => status === 'failed')).toBe(true);
    }
    expect([client.count('disconnected'), client.count('connected')]).toEqual([1, 2]);
    expect(client.warnings()).toEqual([expect.stringContaining('«events» for the route «sick»')]);
    await hang('sick', false);
    await client.insist(toRoute('sick', 'probe'));
    const last = await client.publish(...range(40).map((n) => toRoute('sick', `last-${n}`)));
    expect(last.every(({ status }) => status === 'confirmed')).toBe(true);
    // All that was in flight at the timeout was stored after all; after that, the probes only.
    const later = (): string[] => sick.ids.filter((id) => id.startsWith('later'));
    await waitFor(() => sick.ids.filter((id) => id.startsWith('last')).length === 40, 'the last');
    expect(later().length).toBeLessThanOrEqual(3);
    expect(new Set(well.ids).size).toBe(well.ids.length);
    await client.close();
  }, 60_000);

  it('is probed ever more seldom', async () => {
    const client = await connect();
    await client.transport.declare(topologyOf('seldom'));
    await hang('seldom', true);
    const one = toRoute('seldom', '1');
    const timedOut: number[] = [];
    while (timedOut.length < 4) {
      const sent = Date.now();
      await client.publish(one);
      if (Date.now() - sent > TIMEOUT / 2) timedOut.push(Date.now());
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [, , pause, longer] = timedOut.map((time, n) => time - (timedOut[n - 1] ?? 0));
    expect(pause).toBeGreaterThanOrEqual(TIMEOUT + 900);
    expect(longer).toBeGreaterThanOrEqual(TIMEOUT + 1_900);
    await hang('seldom', false);
    await client.insist(one);
    expect(await client.transport.queues.depth('tests:seldom:queue')).toBe(5);
    await client.close();
  }, 60_000);

  it('a message too large is refused on the probing channel as well', async () => {
    const limit = (bytes: number): Promise<string> =>
      node.eval(
        `application:set_env(rabbit, max_message_size, ${bytes}), persistent_term:put(max_message_size, ${bytes})`,
      );
    await limit(100_000);
    const client = await connect();
    await client.transport.declare(topologyOf('large'));
    await hang('large', true);
    await client.publish(toRoute('large', '1'));
    await waitFor(() => client.count('connected') === 2, 'a new channel');
    await hang('large', false);
    const [result] = await client.publish(toRoute('large', '2', { body: Buffer.alloc(200_000) }));
    await limit(16 * 2 ** 20);
    expect(result).toMatchObject({ status: 'refused', error: { code: 'MESSAGE_TOO_LARGE' } });
    await client.insist(toRoute('large', '3'));
    await client.close();
  }, 60_000);

  it('a declaration that is never answered is given up and tried again, and holds up no other', async () => {
    const client = await connect();
    await client.transport.declare(topologyOf('before'));
    // Without it no quorum queue begins.
    expect(await node.eval('sys:suspend(ra_server_sup_sup)')).toBe('{ok, ok}');
    const undeclared = client.transport.declare(topologyOf('undeclared'));
    const classic = await client.consume(
      topologyOf('declared', { native: { queueType: 'classic' }, deadLetter: undefined }),
    );
    await client.insist(toRoute('declared', '1'));
    await classic.received(1);
    await undeclared;
    expect(client.warnings()).toEqual([expect.stringContaining(`no answer within ${TIMEOUT} ms`)]);
    await node.eval('sys:resume(ra_server_sup_sup)');
    await waitFor(
      async () => (await client.transport.queues.depth('tests:undeclared:queue')) === 0,
      'the queue',
      30_000,
    );
    await client.insist(toRoute('undeclared', '2'));
    await client.close();
  }, 60_000);

  it('a delay level that hangs: what goes through others is confirmed meanwhile', async () => {
    const client = await connect();
    await client.transport.declare(topologyOf('delayed'));
    const delayed = (id: string, delay: number): ReturnType<typeof toRoute> =>
      outgoing({ kind: 'queue', queue: 'tests:delayed:queue' }, message(id), { dueAt: Date.now() + delay });
    await client.insist(delayed('1', 200));
    await client.insist(delayed('2', 600_000));
    await node.hangQueue('/', 'events.delay.7', true);
    expect((await client.publish(delayed('3', 200)))[0].status).toBe('failed');
    await waitFor(() => client.count('connected') === 2, 'a new channel');
    const probe = client.publish(delayed('3', 200));
    expect((await client.publish(delayed('4', 600_000)))[0].status).toBe('confirmed');
    expect((await client.publish(toRoute('delayed', '5')))[0].status).toBe('confirmed');
    expect((await probe)[0].status).toBe('failed');
    await node.hangQueue('/', 'events.delay.7', false);
    await waitFor(async () => (await client.publish(delayed('6', 200)))[0].status === 'confirmed', 'the level');
    await client.close();
  }, 60_000);
});

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
