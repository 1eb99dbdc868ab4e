import assert from 'node:assert/strict';
import type { CaseDefinition } from './case.js';
import type { ReceivedDelivery } from './consumer.js';
import { range, sorted } from './samples.js';

/** Acks that the broker answers. Each has its own answer, however many are sent together. */
export const ackCases: readonly CaseDefinition[] = [
  {
    name: 'a confirmed ack outlives its connection: the message does not come again',
    needs: ['confirmedAcks', 'disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { settle: 'hold' });
      await client.confirmed(...range(10).map((id) => client.toRoute(bed.route('a'), { id: `${id}` })));
      const received = await consumer.take(10);
      const acked = received.filter((_, index) => index % 2 === 0);
      const answers = await bed.settled(Promise.all(acked.map((one) => one.ackConfirmed())), 'every ack');
      assert.deepEqual(answers, Array(5).fill(true));
      await bed.cut(client);
      const again = await consumer.take(5);
      assert.deepEqual(sorted(again.map(({ id }) => id)), ['1', '3', '5', '7', '9']);
      await client.connected();
      consumer.ackAll();
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
  {
    name: 'each ack is confirmed for itself: what is held beside it, before or after, stays unsettled',
    needs: ['confirmedAcks'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      await client.confirmed(...range(6).map((id) => client.toRoute(bed.route('a'), { id: `${id}` })));
      const received = await consumer.take(6);
      const answers = [3, 1, 4].map((index) => received[index].ackConfirmed());
      assert.deepEqual(await bed.settled(Promise.all(answers), 'every ack'), [true, true, true]);
      await client.close();
      const other = await bed.connect();
      const again = await other.upToFence(await other.consume(topology));
      assert.deepEqual(sorted(again.map(({ id }) => id)), ['0', '2', '5']);
    },
  },
  {
    name: 'an ack of what is settled or lost is answered with false, and does not reject',
    needs: ['confirmedAcks', 'disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { settle: 'hold' });
      await client.confirmed(...range(2).map((id) => client.toRoute(bed.route('a'), { id: `${id}` })));
      const [settled, lost] = await consumer.take(2);
      settled.ack();
      assert.equal(await bed.settled(settled.ackConfirmed(), 'the second ack'), false);
      await bed.cut(client);
      await bed.eventually(() => lost.state === 'lost', 'a lost delivery');
      assert.equal(await bed.settled(lost.ackConfirmed(), 'the late ack'), false);
      await client.connected();
      consumer.ackAll();
      await bed.eventually(() => consumer.ids.filter((id) => id === '1').length === 2, 'what was lost comes again');
    },
  },
  {
    name: 'the connection falls amid acks: each has an answer, what is confirmed does not come again, nothing is lost',
    needs: ['queues', 'confirmedAcks', 'disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const publisher = await bed.connect();
      const confirmed = new Set<string>();
      let open = 0;
      const settle = (received: ReceivedDelivery): void => {
        if (confirmed.has(received.id)) bed.violation(`${received.id} came again after its ack was confirmed`);
        open++;
        void received.ackConfirmed().then((taken) => {
          if (taken) confirmed.add(received.id);
          open--;
          bed.signal.fire();
        });
      };
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { prefetch: 20, settle });
      const ids = range(300).map((id) => `${bed.id}/${id}`);
      for (const cutAt of [50, 150, undefined]) {
        const some = cutAt === undefined ? ids.slice(200) : ids.slice(cutAt < 100 ? 0 : 100, cutAt < 100 ? 100 : 200);
        const sending = publisher.insist(...some.map((id) => publisher.toRoute(bed.route('a'), { id })));
        if (cutAt !== undefined) {
          await bed.eventually(() => confirmed.size >= cutAt, `${cutAt} confirmed acks`);
          await bed.cut(client);
          await client.connected();
        }
        await sending;
      }
      await bed.eventually(() => ids.every((id) => consumer.ids.includes(id)), 'every message');
      await bed.eventually(
        () => open === 0,
        () => `an answer to each ack (${open} have none)`,
      );
      await client.depthOf(consumer.queue, 0);
    },
  },
];
