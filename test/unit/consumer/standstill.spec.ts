import { describe, expect, test } from '@jest/globals';
import { type Application, start } from '../support/application.js';
import { FakeDelivery } from '../support/fake-transport.js';

const QUEUE = 'orders:order.created:queue';
const LOOK_MS = 30_000;

/** Messages in a queue whose consumer gets none of them. */
async function standing(app: Application, ready: number) {
  const subscription = await app.subscribe(() => {});
  const attached: string[] = [];
  subscription.attachAgain = (reason) => void attached.push(reason);
  app.transport.stored.set(
    QUEUE,
    Array.from({ length: ready }, () => new FakeDelivery({}).message),
  );
  const look = async (times = 1): Promise<void> => {
    for (let n = 0; n < times; n++) {
      await app.clock.advance(LOOK_MS);
      await app.turn();
    }
  };
  return { subscription, attached, look };
}

describe('a consumer that gets nothing while messages are ready', () => {
  test('is attached again at the second look in a row, with a warning and a reason in health', async () => {
    const app = await start();
    const { attached, look } = await standing(app, 3);
    await look(2);
    expect(attached).toEqual([]);
    await look();
    const reason = '3 messages are ready and none has come for 60 s';
    expect(attached).toEqual([reason]);
    expect(app.logged('warn')).toContain(`«${QUEUE}»: ${reason}; the consumer is attached again`);
    expect(app.messaging.health()).toMatchObject({ status: 'degraded', consumers: [{ reason }] });
  });

  test('is attached again ever more seldom while that does not help', async () => {
    const app = await start();
    const { attached, look } = await standing(app, 1);
    const after: number[] = [];
    for (let looks = 1; looks <= 70; looks++) {
      const before = attached.length;
      await look();
      if (attached.length > before) after.push(looks - 1);
    }
    expect(after).toEqual([2, 4, 8, 16, 32, 64]);
  });

  test('is well again with the first message that comes', async () => {
    const app = await start();
    const { subscription, look } = await standing(app, 1);
    await look(3);
    subscription.deliver();
    await app.turn();
    await look();
    expect(app.messaging.health()).toMatchObject({ status: 'up', consumers: [{ state: 'consuming' }] });
    expect(app.messaging.health().consumers[0].reason).toBeUndefined();
  });
});

describe('a consumer is left alone', () => {
  test('whose queue is empty', async () => {
    const app = await start();
    const { attached, look } = await standing(app, 0);
    await look(10);
    expect(attached).toEqual([]);
  });

  test('that gets a message now and then', async () => {
    const app = await start();
    const { subscription, attached, look } = await standing(app, 5);
    for (let n = 0; n < 10; n++) {
      await look();
      subscription.deliver();
      await app.turn();
    }
    expect(attached).toEqual([]);
  });

  test('that holds a message', async () => {
    const app = await start();
    const subscription = await app.subscribe(() => new Promise(() => {}));
    const attached: string[] = [];
    subscription.attachAgain = (reason) => void attached.push(reason);
    app.transport.stored.set(QUEUE, [new FakeDelivery({}).message]);
    subscription.deliver();
    for (let n = 0; n < 6; n++) {
      await app.clock.advance(LOOK_MS);
      await app.turn();
    }
    expect(attached).toEqual([]);
  });

  test('that is paused', async () => {
    const app = await start();
    const { attached, look } = await standing(app, 1);
    app.messaging.pause('order.created');
    await look(6);
    expect(attached).toEqual([]);
  });

  test('whose queue cannot be asked', async () => {
    const app = await start();
    const { attached, look } = await standing(app, 1);
    app.transport.depth = () => Promise.reject(new Error('no answer'));
    await look(6);
    expect(attached).toEqual([]);
  });
});
