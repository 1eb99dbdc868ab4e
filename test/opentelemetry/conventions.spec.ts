import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Attributes } from '@opentelemetry/api';
import { MessagingModule } from 'nestjs-messaging';
import { RequeueModule } from 'nestjs-messaging/requeue';
import { openTelemetry, type SemanticConventions } from 'nestjs-messaging/opentelemetry';
import { SEMANTIC_CONVENTIONS } from '../../lib/opentelemetry/naming.js';
import { describeNats } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event } from '../e2e/support/application.js';
import { dataDirectory, TestClient } from '../requeue/support/service.js';
import { Collected, registerGlobals, unregisterGlobals } from './support/collected.js';
import { bootShop } from './support/shop.js';
import { describeTransports } from './support/transports.js';

beforeAll(registerGlobals);
afterAll(unregisterGlobals);
afterEach(closeApplications);

let collected: Collected;
beforeEach(() => {
  collected = new Collected();
});

const telemetryOf = (semanticConventions?: SemanticConventions): ReturnType<typeof openTelemetry> => {
  const { tracer, meter } = collected;
  return openTelemetry({ tracer, meter, ...(semanticConventions && { semanticConventions }) });
};

const NAME = 'messaging.destination.name';
const queue = 'shop:orders:queue';
const systemKeys = ['messaging.system', 'messaging.system.name'];
const routingKeys = ['messaging.rabbitmq.destination.routing_key', 'rabbitmq.destination.routing_key'];

/** Which of these names are there, with their values. */
function only(attributes: Attributes | undefined, names: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes ?? {}).filter(([name]) => names.includes(name)));
}

describe.each([undefined, ...SEMANTIC_CONVENTIONS])('semantic conventions %s', (version) => {
  const current = version === '1.45';
  const systemKey = systemKeys[Number(current)];

  describeTransports('names', (fresh) => {
    let system: string;
    let joins: boolean;
    const start = async (): Promise<Application> => {
      const transport = await fresh();
      ({ system } = transport());
      joins = current && system === 'rabbitmq';
      return bootShop(transport(), {}, { telemetry: telemetryOf(version) });
    };

    test('of the system and of destinations, on every span of a message that fails and is retried', async () => {
      const { messaging } = await start();
      let calls = 0;
      const ended = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
      await messaging.subscribe({ route: 'order.created', name: 'orders' }, () => {
        if (++calls === 1) throw new Error('once');
      });
      await messaging.publisher.publish('order.created', {});
      await ended;
      const [[send], processed, [retry]] = await Promise.all([
        collected.ended(joins ? 'send events:order.created' : 'send order.created'),
        collected.ended(`process ${queue}`, 2),
        collected.ended(`retry ${queue}`),
      ]);
      for (const { attributes } of collected.spans)
        expect(only(attributes, systemKeys)).toEqual({ [systemKey]: system });
      expect(send.attributes[NAME]).toBe(joins ? 'events:order.created' : 'order.created');
      const routed = joins ? `events:order.created:${queue}` : queue;
      // The second came by the queue's own name.
      expect([...processed, retry].map(({ attributes }) => attributes[NAME])).toEqual([routed, queue, routed]);
      const key = system === 'rabbitmq' ? { [routingKeys[Number(current)]]: 'order.created' } : {};
      for (const span of [send, ...processed]) expect(only(span.attributes, routingKeys)).toEqual(key);
    });

    test('of a queue that a message is sent to', async () => {
      const { messaging } = await start();
      await messaging.subscribe({ route: 'order.created', name: 'orders' }, () => undefined);
      await messaging.publisher.sendToQueue(queue, {});
      const [span] = await collected.ended(`send ${queue}`);
      expect(span.attributes[NAME]).toBe(queue);
    });

    test('of metrics: the same system, the name of a send as in its span, of the consuming side the queue', async () => {
      const { messaging } = await start();
      const ended = event(messaging, 'settled');
      await messaging.subscribe({ route: 'order.created', name: 'orders' }, () => undefined);
      await messaging.publisher.publish('order.created', {});
      await ended;
      const [sent] = await collected.points('messaging.client.sent.messages');
      expect(only(sent.attributes as Attributes, [...systemKeys, NAME])).toEqual({
        [systemKey]: system,
        [NAME]: joins ? 'events:order.created' : 'order.created',
      });
      const [consumed] = await collected.points('messaging.client.consumed.messages');
      expect(only(consumed.attributes as Attributes, [...systemKeys, NAME])).toEqual({
        [systemKey]: system,
        [NAME]: queue,
      });
      const [observed] = await collected.points('nestjs_messaging.publisher.retry_queue.depth');
      expect(only(observed.attributes as Attributes, systemKeys)).toEqual({ [systemKey]: system });
    });
  });

  describeNats('names of the requeue service', (nats) => {
    test('of the system', async () => {
      const url = await nats.url();
      await boot({
        imports: [
          MessagingModule.forRoot({ service: 'shop' }),
          RequeueModule.forRoot({ servers: url, dataDir: dataDirectory(), telemetry: telemetryOf(version) }),
        ],
      });
      const client = await TestClient.connect(url);
      await client.send('requeue.nobody', Buffer.from('x'));
      await waitFor(async () => (await collected.points('nestjs_messaging.requeue.accepted.messages')).length === 1);
      const [{ attributes }] = await collected.points('nestjs_messaging.requeue.accepted.messages');
      expect(attributes).toEqual({ [systemKey]: 'nats', [NAME]: 'default' });
    });
  });
});
