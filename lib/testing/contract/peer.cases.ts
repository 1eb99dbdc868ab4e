import assert from 'node:assert/strict';
import type { CaseDefinition } from './case.js';
import type { HarnessPeer, PeerMessage } from '../transport-harness.js';
import {
  allProperties,
  assertContainsHeaders,
  assertSameBody,
  assertSameHeaders,
  assertSameProperties,
  everyByte,
  textHeaders,
  typedHeaders,
} from './samples.js';
import type { TestBed } from './test-bed.js';

function peerOf(bed: TestBed): HarnessPeer {
  assert.ok(bed.harness.peer);
  return bed.harness.peer;
}

async function peerGets(bed: TestBed, queue: string): Promise<PeerMessage> {
  let message: PeerMessage | undefined;
  await bed.eventually(async () => (message ??= await peerOf(bed).get(queue)) !== undefined, 'a message for the peer');
  return message as PeerMessage;
}

/** The other side is a plain client of the broker: no envelope, nothing that only this package understands. */
export const peerCases: readonly CaseDefinition[] = [
  {
    name: 'peer: what a plain client publishes arrives byte for byte, by route and by queue',
    needs: ['peer'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const headers = bed.harness.textHeaders ? textHeaders : typedHeaders;
      const message = {
        id: 'foreign',
        body: everyByte,
        headers,
        properties: { ...allProperties, type: 'OrderCreated' },
      };
      for (const to of [
        { kind: 'route', route: bed.route('a') },
        { kind: 'queue', queue: topology.queue },
      ] as const) {
        await peerOf(bed).publish(to, message);
        const received = await consumer.next();
        assert.equal(received.id, 'foreign');
        assertSameBody(received.message.body, everyByte);
        assertSameHeaders(received.message.headers, headers);
        assert.equal(received.delivery.direct, to.kind === 'queue');
        // Where there was no route, a foreign type is the best name for what the message is about.
        const byType = received.message.route === 'OrderCreated';
        assertSameProperties(received.message.properties, byType ? allProperties : message.properties);
        if (to.kind === 'route') assert.equal(received.message.route, to.route);
      }
    },
  },
  {
    name: 'peer: a message with nothing but a body arrives, with an empty id',
    needs: ['peer'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      await peerOf(bed).publish(
        { kind: 'route', route: bed.route('a') },
        { body: Buffer.from('plain'), headers: {}, properties: {} },
      );
      const { message } = await consumer.next();
      assert.deepEqual([message.id, message.route, message.body.toString()], ['', bed.route('a'), 'plain']);
      assertSameHeaders(message.headers, {});
      assertSameProperties(message.properties, {});
    },
  },
  {
    name: 'peer: a header that tells of earlier deliveries is not the count of the broker',
    needs: ['peer'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      for (const to of [
        { kind: 'route', route: bed.route('a') },
        { kind: 'queue', queue: topology.queue },
      ] as const) {
        const counts = ['5', 'many', ...(bed.harness.textHeaders ? [] : [5, -5])];
        for (const count of counts) {
          const headers = { 'x-delivery-count': count, 'x-acquired-count': count };
          await peerOf(bed).publish(to, { id: 'moved', body: everyByte, headers, properties: {} });
          const { delivery } = await consumer.next();
          assert.ok(!delivery.deliveryCount, `${delivery.deliveryCount} deliveries before the first`);
        }
      }
    },
  },
  {
    name: 'peer: what we publish a plain client reads, byte for byte',
    needs: ['peer'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const headers = bed.harness.textHeaders ? textHeaders : typedHeaders;
      const fields = { id: 'ours', body: everyByte, headers, properties: allProperties };
      await client.confirmed(client.toRoute(bed.route('a'), fields), client.toQueue(topology.queue, fields));
      for (let count = 0; count < 2; count++) {
        const read = await peerGets(bed, topology.queue);
        assert.equal(read.id, 'ours');
        assertSameBody(read.body, everyByte);
        assertSameHeaders(read.headers, headers);
        assert.equal(read.properties.contentType, allProperties.contentType);
        assert.equal(read.properties.correlationId, allProperties.correlationId);
        assert.equal(read.properties.replyTo, allProperties.replyTo);
      }
    },
  },
  {
    name: 'peer: a plain client reads a dead letter, byte for byte',
    needs: ['peer'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const fields = { id: 'dead', route: bed.route('a'), body: everyByte, headers: textHeaders };
      const to = { kind: 'dead-letter', route: topology.deadLetter?.route ?? '' } as const;
      await client.confirmed(client.outgoing(to, fields));
      const read = await peerGets(bed, topology.deadLetter?.queue ?? '');
      assert.equal(read.id, 'dead');
      assertSameBody(read.body, everyByte);
      assertContainsHeaders(read.headers, textHeaders);
    },
  },
  {
    name: 'peer: foreign headers survive a delayed copy with their types',
    needs: ['peer', 'delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      const headers = bed.harness.textHeaders ? textHeaders : typedHeaders;
      const foreign = { id: 'foreign', body: everyByte, headers, properties: allProperties };
      await peerOf(bed).publish({ kind: 'route', route: bed.route('a') }, foreign);
      const original = await consumer.next();
      await client.confirmed(client.toQueue(topology.queue, original.message, { dueAt: bed.now + 100 }));
      original.ack();
      const copy = await consumer.next();
      assertSameBody(copy.message.body, everyByte);
      assertContainsHeaders(copy.message.headers, headers);
      assertSameProperties(copy.message.properties, allProperties);
      assert.equal(copy.message.route, bed.route('a'));
    },
  },
];
