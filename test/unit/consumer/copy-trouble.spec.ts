import { expect, test } from '@jest/globals';
import { NotConnectedError } from '../../../lib/errors/publish-errors.js';
import { start } from '../support/application.js';
import { confirmed, failed } from '../support/fake-transport.js';

async function failing() {
  const app = await start({ retry: { attempts: 8, backoff: 100 } });
  const subscription = await app.subscribe(() => {
    throw new Error('not now');
  });
  return { app, subscription, health: () => app.messaging.health() };
}

test('a retry that cannot be written degrades health with the count and the reason, until one can', async () => {
  const { app, subscription, health } = await failing();
  app.transport.answer = () => failed('RabbitMQ cannot declare the delay levels of «events»: no queue');
  for (let n = 0; n < 3; n++) {
    subscription.deliver({ id: 'a' });
    await app.turn();
  }
  expect(health().status).toBe('degraded');
  expect(health().consumers[0]).toMatchObject({
    state: 'consuming',
    reason: expect.stringMatching(/\(3 times in a row\).*delay levels of «events»/),
  });
  app.transport.answer = () => confirmed;
  subscription.deliver({ id: 'a' });
  await app.turn();
  expect(health().status).toBe('up');
});

test('what was handled elsewhere after all is forgotten', async () => {
  const { app, subscription, health } = await failing();
  app.transport.answer = () => failed('the queue is full');
  subscription.deliver({ id: 'a' });
  await app.clock.advance(170_000);
  expect(health().status).toBe('degraded');
  await app.clock.advance(20_000);
  expect(health().status).toBe('up');
});

test('an outage is no trouble with copies', async () => {
  const { app, subscription, health } = await failing();
  app.transport.answer = () => ({ status: 'failed', error: new NotConnectedError('gone') });
  subscription.deliver({ id: 'a' });
  await app.turn();
  expect(health().consumers[0].reason).toBeUndefined();
});
