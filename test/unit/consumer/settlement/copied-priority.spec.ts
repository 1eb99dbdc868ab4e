import { expect, test } from '@jest/globals';
import { copyToPartition } from '../../../../lib/consumer/settlement/copy.js';
import { redrivenCopy } from '../../../../lib/dead-letter/redriven-copy.js';
import { Outcome } from '../../../../lib/pipeline/outcome.js';
import { start } from '../../support/application.js';
import { FakeDelivery, confirmed } from '../../support/fake-transport.js';

const properties = { priority: 9, appId: 'legacy' };

test.each([
  ['a retry', () => Outcome.retry(5)],
  ['a deferral', () => Outcome.defer(5)],
  ['a dead letter', () => Outcome.deadLetter('unrecoverable', new Error('no'))],
])('%s has no foreign priority, and all else', async (_, handler) => {
  const app = await start();
  app.transport.answer = () => confirmed;
  const subscription = await app.subscribe(handler);
  subscription.deliver({ properties });
  await app.turn();
  expect(app.transport.last.message.properties).toEqual({ appId: 'legacy' });
});

test('the copy for a partition has no foreign priority', () => {
  const delivery = new FakeDelivery({ id: 'a', properties });
  expect(copyToPartition(delivery, 'q.0', 0).message.properties).toEqual({ appId: 'legacy' });
});

test('a redriven message has none, though the broker dead-lettered it with one', () => {
  const { message } = new FakeDelivery({ id: 'a', properties });
  const letter = { origin: { queue: 'q' }, deadLetterQueue: 'q:dlq', route: 'r' } as never;
  expect(redrivenCopy(letter, message, 1, 0).message.properties).toEqual({ appId: 'legacy' });
});
