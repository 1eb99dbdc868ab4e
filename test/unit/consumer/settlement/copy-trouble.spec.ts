import { describe, expect, test } from '@jest/globals';
import { NotConnectedError } from '../../../../lib/errors/publish-errors.js';
import type { Outgoing } from '../../../../lib/transport/outgoing.js';
import { start } from '../../support/application.js';
import { confirmed, failed, FakeDelivery, missing, refused } from '../../support/fake-transport.js';

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

describe('a copy that cannot be written, and not merely for now', () => {
  const toDeadLetters = ({ to }: Outgoing): boolean => to.kind === 'dead-letter';

  async function counting(retry = { attempts: 3, backoff: 100 }) {
    const app = await start({ retry });
    const calls: number[] = [];
    const subscription = await app.subscribe((_, { attempt }) => {
      calls.push(attempt);
      throw new Error('no');
    });
    let deliveryCount = 0;
    /** Of a broker that counts, or of one that only says that it was delivered before. */
    const deliver = async (id: string, counts = true): Promise<string[]> => {
      const delivery = new FakeDelivery({ id, ...(counts && { deliveryCount: deliveryCount++ }) });
      if (!counts) Object.assign(delivery, { redelivered: deliveryCount++ > 0 });
      subscription.hand(delivery);
      await app.turn();
      return delivery.settlements;
    };
    return { app, calls, deliver };
  }

  test.each([
    ['a', true],
    ['a', false],
    ['', true],
    ['', false],
  ])(
    'spends attempts for what is missing, with pauses, and ends in the dead letters: id «%s», counted by the broker: %s',
    async (id, counts) => {
      const { app, calls, deliver } = await counting();
      app.transport.answer = (outgoing) => (toDeadLetters(outgoing) ? confirmed : missing());
      expect(await deliver(id, counts)).toEqual(['release 500']);
      expect(app.messaging.health().consumers[0].reason).toMatch(/\(once\).*a delay level does not exist/);
      await app.clock.advance(500);
      expect(await deliver(id, counts)).toEqual(['release 1000']);
      expect(await deliver(id, counts)).toEqual(['ack']);
      expect(calls).toEqual([1, 2, 3]);
      expect(app.transport.last.message.headers).toMatchObject({ 'messaging-attempt': 3 });
      expect(app.logged('warn').join('\n')).toMatch(
        /could not be written, it is given back: a delay level does not exist/,
      );
      expect(app.messaging.health().status).toBe('up');
    },
  );

  test('is that of one message: another with the same id has attempts of its own', async () => {
    const { app, calls, deliver } = await counting();
    app.transport.answer = () => missing();
    await deliver('a');
    const { transport } = app;
    transport.subscriptions[0].deliver({ id: 'a', body: '{"n":2}', deliveryCount: 1 });
    await app.turn();
    expect(calls).toEqual([1, 1]);
  });

  test('does not count what fails for now', async () => {
    const { app, calls, deliver } = await counting();
    app.transport.answer = () => failed();
    for (let n = 0; n < 5; n++) await deliver('a');
    expect(calls).toEqual([1, 1, 1, 1, 1]);
  });

  test.each([
    ['refused', refused],
    ['missing', missing],
    ['failing for now', failed],
  ])('calls nobody again once it is the dead letter: %s. Health and log say so', async (_, answer) => {
    const { app, calls } = await counting({ attempts: 1, backoff: 100 });
    app.transport.answer = () => answer();
    const hand = async (deliveryCount: number): Promise<string[]> => {
      const delivery = new FakeDelivery({ id: 'a', deliveryCount });
      Object.defineProperty(delivery, 'reject', { value: undefined });
      app.transport.subscriptions[0].hand(delivery);
      await app.turn();
      return delivery.settlements;
    };
    expect(await hand(0)).toEqual(['release 500']);
    expect(await hand(1)).toEqual(['release 500']);
    const { status, consumers } = app.messaging.health();
    expect([status, consumers[0].reason]).toEqual(['degraded', expect.stringMatching(/\(2 times in a row\)/)]);
    expect(
      app.lines.filter((line) => line.includes('message a can be written') || line.includes('given back')),
    ).toHaveLength(2);
    app.transport.answer = () => confirmed;
    expect(await hand(2)).toEqual(['ack']);
    expect(calls).toEqual([1]);
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-attempt': 1,
      'messaging-reason': 'attempts-exhausted',
      'messaging-error-message': 'no',
    });
    expect(app.messaging.health().status).toBe('up');
  });
});
