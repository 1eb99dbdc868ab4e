import { beforeAll, expect, it } from '@jest/globals';
import type { Outgoing } from '../../lib/transport/outgoing.js';
import type { RawMessage } from '../../lib/transports/rabbitmq/wire/decode.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbitNode, isSince } from '../brokers/rabbitmq.js';
import type { RabbitNode } from '../brokers/rabbitmq/node.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, topologyOf, toRoute } from './client.js';

describeRabbitNode('faults', (rabbit) => {
  let node: RabbitNode;
  beforeAll(async () => void (node = await rabbit.start()), 60_000);

  it('a broker killed under load: everything confirmed is delivered, consumers come back with topology and prefetch', async () => {
    const client = await Client.connect(node.url());
    const topology = topologyOf('killed');
    let unsettled = 0;
    let most = 0;
    const consumer = await client.consume(topology, {
      prefetch: 7,
      on: (delivery) => {
        most = Math.max(most, ++unsettled);
        setImmediate(() => (unsettled--, delivery.ack()));
      },
    });
    const outcome = new Map<string, string>();
    let next = 0;
    const feed = (): void => {
      if (next >= 3_000) return;
      const batch = Array.from({ length: 20 }, () => toRoute('killed', String(next++)));
      client.transport.publish(batch, settled);
    };
    let open = 0;
    const again: Outgoing[] = [];
    const settled = (one: Outgoing, { status }: { status: string }): void => {
      outcome.set(one.message.id, status);
      if (status === 'failed') again.push(one);
      if (++open % 20 === 0) feed();
    };
    feed();
    feed();
    await waitFor(() => consumer.deliveries.length > 300, 'the load');
    await node.kill();
    await waitFor(() => client.count('disconnected') === 1, 'disconnected');
    await node.restart();
    await waitFor(() => next >= 3_000 && outcome.size === 3_000, 'a result for each', 60_000);
    expect(again.length).toBeGreaterThan(0);
    for (const one of again) await client.insist(one);
    await waitFor(() => new Set(consumer.ids).size === 3_000, 'all 3,000', 30_000);
    expect(most).toBeLessThanOrEqual(7);
    expect(consumer.subscription.consuming).toBe(true);
    await client.close();
  }, 120_000);

  it('a closing by the operator and an abrupt one: both connections come back, each told once', async () => {
    const client = await Client.connect(node.url());
    const consumer = await client.consume(topologyOf('closed'));
    const listed = async (): Promise<boolean> => (await node.connections()).length === 2;
    await waitFor(listed, 'the broker lists both connections');
    await node.closeConnections('maintenance');
    await waitFor(() => client.count('connected') >= 2 && consumer.subscription.consuming, 'back');
    expect(client.events).toContainEqual(
      expect.objectContaining({ type: 'disconnected', reason: expect.stringContaining('maintenance') }),
    );
    await waitFor(listed, 'the broker lists both connections again');
    const before = client.count('connected');
    await node.killConnections();
    await waitFor(() => client.count('connected') > before, 'back again');
    await client.insist(toRoute('closed', '1'));
    await consumer.received(1);
    expect(client.count('disconnected')).toBe(client.count('connected') - 1);
    await client.close();
  }, 60_000);

  it('a hung broker: confirms time out, the results come, and after the hang everything goes on', async () => {
    const client = await Client.connect(node.url(), { environment: { confirmTimeout: 1_000 } });
    const consumer = await client.consume(topologyOf('hung'));
    await client.insist(toRoute('hung', '1'));
    await node.suspend();
    const results = await client.publish(toRoute('hung', '2'), toRoute('hung', '3'));
    expect(results.map(({ status }) => status)).toEqual(['failed', 'failed']);
    node.resume();
    await client.insist(toRoute('hung', '4'));
    await waitFor(() => ['1', '4'].every((id) => consumer.ids.includes(id)), 'the deliveries', 30_000);
    await client.close();
  }, 90_000);

  it('blocked: told once, what is under way stays unresolved past its timeout, deliveries and acks go on', async () => {
    const client = await Client.connect(node.url(), { environment: { confirmTimeout: 500 } });
    const consumer = await client.consume(topologyOf('blocked'), { on: () => {} });
    await client.insist(toRoute('blocked', '1'));
    await consumer.received(1);
    await node.memoryAlarm(true);
    let result: string | undefined;
    client.transport.publish([toRoute('blocked', '2')], (_, { status }) => (result = status));
    await waitFor(() => client.count('blocked') === 1, 'blocked');
    expect(await client.publish(toRoute('blocked', '3'))).toMatchObject([
      { status: 'failed', error: { code: 'NOT_CONNECTED' } },
    ]);
    consumer.deliveries[0].ack();
    await waitFor(async () => (await client.transport.queues.depth('tests:blocked:queue')) === 0, 'the ack');
    // The broker's own time is needed here: the timeout must pass without a result.
    const until = Date.now() + 1_200;
    await waitFor(() => Date.now() > until);
    expect(result).toBeUndefined();
    await node.memoryAlarm(false);
    await waitFor(() => result === 'confirmed', 'the confirm');
    expect([client.count('unblocked'), client.count('disconnected')]).toEqual([1, 0]);
    await client.close();
  }, 60_000);

  it('what is held for longer than the consumer_timeout comes again, its late ack does nothing, and the subscription goes on', async () => {
    // Before 4.3 the channel is closed, since then the consumer is cancelled.
    const set = (timeout: number, tick: number): Promise<string> =>
      node.eval(
        `application:set_env(rabbit, consumer_timeout, ${timeout}), application:set_env(rabbit, channel_tick_interval, ${tick})`,
      );
    await set(1_000, 1_000);
    const client = await Client.connect(node.url());
    const consumer = await client.consume(topologyOf('held'), {
      on: (delivery) => delivery.deliveryCount && delivery.ack(),
    });
    await client.insist(toRoute('held', '1'));
    await consumer.received(2, 60_000);
    const [held, again] = consumer.deliveries;
    expect([consumer.lostOnes, again.deliveryCount]).toEqual([[held], 1]);
    const { headers } = (again.raw as RawMessage).properties;
    expect(headers).toEqual({ [isSince(rabbit.version, '4.3') ? 'x-acquired-count' : 'x-delivery-count']: 1 });
    await set(1_800_000, 60_000);
    held.ack();
    await waitFor(async () => (await client.transport.queues.depth('tests:held:queue')) === 0, 'the ack');
    await client.insist(toRoute('held', '2'));
    await consumer.received(3);
    expect(consumer.subscription.consuming).toBe(true);
    await client.close();
  }, 90_000);

  it('a lost confirm: the channel is closed before the result, one resend makes one duplicate', async () => {
    const proxy = await Proxy.start(node.url());
    const client = await Client.connect(proxy.url(node.url()), { environment: { confirmTimeout: 500 } });
    await client.transport.declare(topologyOf('confirm'));
    await client.insist(toRoute('confirm', '0'));
    proxy.dropFromBroker(true);
    const one = toRoute('confirm', '1');
    const [result] = await client.publish(one);
    expect(result.status).toBe('failed');
    expect(client.count('disconnected')).toBe(1);
    proxy.dropFromBroker(false);
    proxy.reset();
    await client.insist(one);
    expect(await client.transport.queues.depth('tests:confirm:queue')).toBe(3);
    await client.close();
    await proxy.close();
  }, 60_000);
});
