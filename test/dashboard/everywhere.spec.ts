import { afterEach, expect, test } from '@jest/globals';
import { memory, MemoryBroker } from 'nestjs-messaging';
import { memoryCoordinationStore } from 'nestjs-messaging/stores';
import { systemClock } from '../../lib/clock/clock.js';
import { closeShops, Shop } from './support.js';

afterEach(closeShops);

const NAME = 'order.created';
const stateOf = async (shop: Shop): Promise<string> => (await shop.get('subscriptions'))[0].state;

test('a subscription is paused in all processes, also in one that starts later, and goes on in all', async () => {
  const broker = new MemoryBroker();
  const store = memoryCoordinationStore().create({ clock: systemClock });
  const coordination = {
    kind: 'shared',
    create: () => ({ ...store, change: store.change.bind(store), close: async () => undefined }),
  };
  const open = (): Promise<Shop> => Shop.open({ transport: memory({ broker }), coordination });
  const one = await open();
  expect((await one.get('overview')).coordinated).toBe(true);
  const paused = await one.act('POST', `subscriptions/${NAME}/pause-everywhere`);
  expect([paused.status, await paused.json()]).toEqual([
    200,
    { name: NAME, action: 'pause everywhere', until: expect.stringMatching(/^\d{4}-/) },
  ]);
  const late = await open();
  expect([await stateOf(one), await stateOf(late)]).toEqual(['paused', 'paused']);
  const [{ reason }] = await late.get('subscriptions');
  expect(reason).toContain('paused in all processes until');
  expect((await late.act('POST', `subscriptions/${NAME}/resume`)).status).toBe(400);
  expect((await late.act('POST', `subscriptions/${NAME}/resume-everywhere`)).status).toBe(200);
  expect(await stateOf(late)).toBe('consuming');
  expect((await late.get('activity')).map(({ action }: { action: string }) => action)).toEqual(['resume everywhere']);
});

test('without a coordination store that is refused, with what is missing', async () => {
  const shop = await Shop.open();
  expect((await shop.get('overview')).coordinated).toBe(false);
  const refused = await shop.act('POST', `subscriptions/${NAME}/pause-everywhere`);
  expect([refused.status, await refused.text()]).toEqual([409, expect.stringContaining('«coordination»')]);
  expect(await stateOf(shop)).toBe('consuming');
});
