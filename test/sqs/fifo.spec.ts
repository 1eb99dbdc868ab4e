import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../../lib/clock/clock.js';
import type { Delivery } from '../../lib/transport/delivery.js';
import type { PublishResult } from '../../lib/transport/outgoing.js';
import type { Transport, TransportSubscription } from '../../lib/transport/transport.js';
import { sqs } from '../../lib/transports/sqs/sqs.js';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';

const topology = { queue: 'ordered', patterns: ['a'], provision: true };
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
let applications = 0;

describeSqs('FIFO queues', (broker) => {
  const open: Transport[] = [];
  afterEach(() => Promise.all(open.splice(0).map((transport) => transport.close())));

  /** Processes of one application of its own. */
  async function processes(count: number): Promise<Transport[]> {
    const settings = { region: 'us-east-1', endpoint: await broker.url(), fifo: true, waitTime: 0 };
    const factory = sqs({ ...settings, prefix: `fifo-${++applications}-${process.pid}-`, options: { credentials } });
    const transports = Array.from({ length: count }, () => factory.create());
    open.push(...transports);
    const environment = {
      clock: systemClock,
      service: 'test',
      random: Math.random,
      reconnect: { initial: 20, max: 100, jitter: 0 },
      confirmTimeout: 5_000,
      provision: true,
      onEvent: () => {},
    };
    for (const transport of transports) await transport.connect(environment);
    await transports[0].declare(topology);
    return transports;
  }

  /** Bodies such as `x1`: of the key `x`. */
  function publish(transport: Transport, bodies: readonly string[]) {
    const batch = bodies.map((body) => ({
      to: { kind: 'route' as const, route: 'a' },
      message: { id: body, route: 'a', body: Buffer.from(body), headers: { 'messaging-key': body[0] }, properties: {} },
      dedupeId: body,
      mandatory: true,
    }));
    const results: PublishResult['status'][] = [];
    return new Promise<PublishResult['status'][]>((resolve) =>
      transport.publish(batch, (_, { status }) => void (results.push(status) === batch.length && resolve(results))),
    );
  }

  function consume(transport: Transport, handle: (delivery: Delivery, body: string) => void) {
    const delivery = (one: Delivery): void => handle(one, one.message.body.toString());
    return transport.subscribe({ topology, prefetch: 10 }, { delivery, lost() {}, state() {} });
  }

  const numbered = (key: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${key}${n}`);

  test('keep the order of a key over two processes while its first is retried, and the other keys go on', async () => {
    const [publisher, ...consumers] = await processes(3);
    // The emulator hands out one message of a key at a time: that those of one poll wait for each other, requests.spec.ts shows.
    await publish(publisher, [...numbered('x', 5), ...numbered('y', 5), ...numbered('z', 5)]);
    const handled: string[] = [];
    let first: Delivery | undefined;
    for (const consumer of consumers)
      await consume(consumer, (delivery, body) => {
        handled.push(body);
        if (body !== 'x0') delivery.ack();
        else if (delivery.deliveryCount! < 2) delivery.release(10);
        else first = delivery;
      });
    await waitFor(() => first !== undefined && handled.length >= 13, 'the other keys, and the second retry');
    const of = (key: string): string[] => handled.filter((body) => body.startsWith(key));
    expect(of('x')).toEqual(['x0', 'x0', 'x0']);
    first!.ack();
    await waitFor(() => handled.length >= 17, 'what waited behind it');
    expect(of('x')).toEqual(['x0', 'x0', ...numbered('x', 5)]);
    expect([of('y'), of('z')]).toEqual([numbered('y', 5), numbered('z', 5)]);
  });

  test('hand a key over in its order when a process stops in the middle of a retry', async () => {
    const [leaving, staying] = await processes(2);
    let retried = false;
    const subscription: TransportSubscription = await consume(leaving, (delivery) => {
      retried = true;
      delivery.release(3_600_000);
    });
    await publish(leaving, numbered('x', 4));
    await waitFor(() => retried, 'a retry in an hour');
    await subscription.stop(true);
    const handled: string[] = [];
    await consume(staying, (delivery, body) => {
      handled.push(body);
      delivery.ack();
    });
    await waitFor(() => handled.length >= 4, 'the whole key');
    expect(handled).toEqual(numbered('x', 4));
  });

  test('store once what is published twice with one de-duplication id, and confirm both', async () => {
    const [transport] = await processes(1);
    const bodies = ['x0', 'x0', 'x1'];
    expect(await publish(transport, bodies)).toEqual(['confirmed', 'confirmed', 'confirmed']);
    const handled: string[] = [];
    await consume(transport, (delivery, body) => {
      handled.push(body);
      delivery.ack();
    });
    await waitFor(() => handled.includes('x1'), 'the last');
    expect(handled).toEqual(['x0', 'x1']);
  });
});
