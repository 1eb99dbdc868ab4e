import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect } from 'amqplib';
import { npmFolderBesideBrokers } from '../brokers/npm-folder.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { BesideGolevelup } from '../compat/golevelup/beside-golevelup.js';

const { folder } = npmFolderBesideBrokers('request-peers', resolve(__dirname, '../request/interop'));

describeRabbit('sample 10, from golevelup in five steps', (rabbit) => {
  const run = folder === undefined ? test.skip : test;
  let beside: BesideGolevelup;
  let url: string;

  beforeAll(async () => {
    if (folder === undefined) return;
    url = await rabbit.freshVhostUrl();
    beside = new BesideGolevelup(folder);
    await beside.compile('sample/10-from-golevelup');
  });
  afterAll(() => beside?.close());

  run(
    'each of them runs, with what the one before has left in the same queues',
    async () => {
      for (const step of [1, 2, 3, 4, 5]) {
        const model = await connect(url);
        // Published before it starts, as by the step before; the first finds no queue.
        if (step > 1) {
          const channel = await model.createConfirmChannel();
          channel.publish('shop', 'order.created', Buffer.from(JSON.stringify({ id: 10 * step, item: 'left' })));
          await channel.waitForConfirms();
        }
        const said = await beside.run('main.js', { AMQP_URL: url, STEP: String(step), REPORT: `report-${step}.md` });
        expect(said).toContain(`packed order ${step}: ball`);
        expect(said).toContain('a racket costs 6');
        if (step > 1) expect(said).toContain(`packed order ${10 * step}: left`);
        const channel = await model.createChannel();
        for (const queue of ['shop-orders', 'shop-prices'])
          expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0, consumerCount: 0 });
        await model.close();
      }
      for (const step of [2, 3, 4]) expect(beside.read(`report-${step}.md`)).toMatch(/^# 1 left to do .*golevelup/);
    },
    240_000,
  );
});
