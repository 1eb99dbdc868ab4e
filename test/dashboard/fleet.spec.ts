import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { type Messaging, memory, MemoryBroker } from 'nestjs-messaging';
import { createDashboardHandler, joinFleet, MessagingDashboardModule } from 'nestjs-messaging/dashboard';
import { kafka } from 'nestjs-messaging/kafka';
import { sqs } from 'nestjs-messaging/sqs';
import { systemClock } from '../../lib/clock/clock.js';
import { Seal } from '../../lib/dashboard/fleet/seal.js';
import { publishAll } from '../../lib/transport/publish-all.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeShops, Shop, type ShopOptions } from './support.js';

const SECRET = 'the-secret-of-the-fleet-in-these-tests';
const NAME = 'order.created';

let broker: MemoryBroker;
beforeEach(() => void (broker = new MemoryBroker()));
afterEach(closeShops);

const open = ({ dashboard = {}, ...options }: ShopOptions = {}, secret = SECRET): Promise<Shop> =>
  Shop.open({
    transport: memory({ broker }),
    dashboard: { insecure: true, fleet: { secret, version: '1.2.3' }, ...dashboard },
    ...options,
  });

/** Looks as a page does, until so many processes have answered. */
async function fleetOf(shop: Shop, wanted: number): Promise<any> {
  await waitFor(async () => (await shop.get('fleet')).processes.length === wanted, `${wanted} processes`, 30_000);
  return shop.get('fleet');
}

const stateIn = ({ messaging }: Shop): string | undefined => messaging.health().consumers[0].state;

test('each process is seen from each, and paused and resumed from another, as its own list tells', async () => {
  const [one, other] = [await open({ dashboard: { operator: () => 'ada' } }), await open()];
  const { own, processes, refused } = await fleetOf(one, 2);
  expect(refused).toEqual({});
  const [{ id }] = processes.filter((process: any) => process.id !== own);
  expect((await fleetOf(other, 2)).own).toBe(id);
  expect(processes.find((process: any) => process.id === id)).toMatchObject({
    service: 'shop',
    connection: 'default',
    pid: process.pid,
    version: '1.2.3',
    status: 'up',
    troubles: [],
    missed: 0,
    subscriptions: [{ name: NAME, state: 'consuming', inFlight: 0 }, { name: 'invoice.*' }],
  });
  const paused = await one.act('POST', `fleet/${id}/pause`, { name: NAME });
  const where = expect.stringMatching(/.:\d+$/);
  expect([paused.status, await paused.json()]).toEqual([200, { name: NAME, action: 'pause', where }]);
  expect([stateIn(one), stateIn(other)]).toEqual(['consuming', 'paused']);
  const shown = (await one.get('fleet')).processes.find((process: any) => process.id === id);
  expect(shown).toMatchObject({
    subscriptions: [{ state: 'paused' }, {}],
    troubles: [`«shop:${NAME}:queue» is paused`],
  });
  expect(await other.get('activity')).toMatchObject([
    { operator: expect.stringMatching(/^ada from .+:\d+$/), action: 'pause', subject: NAME },
  ]);
  expect(await one.get('activity')).toMatchObject([{ operator: 'ada', action: 'pause', subject: NAME }]);
  expect((await one.act('POST', `fleet/${id}/resume`, { name: NAME })).status).toBe(200);
  expect(stateIn(other)).toBe('consuming');
  const wrong = await one.act('POST', `fleet/${id}/pause`, { name: 'nothing' });
  expect([wrong.status, await wrong.text()]).toEqual([409, expect.stringContaining('«name» is \\"nothing\\"')]);
  expect((await one.act('POST', `fleet/${randomUUID()}/pause`, { name: NAME })).status).toBe(404);
});

test('a process without a dashboard joins, and the connection is in the fleet once, whoever joins', async () => {
  const shop = await open();
  const worker = await Shop.open({ transport: memory({ broker }) });
  joinFleet(worker.messaging, { secret: SECRET });
  joinFleet(worker.messaging, { secret: SECRET });
  createDashboardHandler(worker.messaging, { insecure: true, fleet: { secret: SECRET } });
  const { own, processes } = await fleetOf(shop, 2);
  const { id } = processes.find((process: any) => process.id !== own);
  expect((await shop.act('POST', `fleet/${id}/pause`, { name: NAME })).status).toBe(200);
  expect(stateIn(worker)).toBe('paused');
  expect(() => joinFleet(worker.messaging, { secret: `${SECRET}!` })).toThrow('the secret that this connection has');
  expect(await worker.get('fleet')).toBeNull();
  expect((await worker.act('POST', `fleet/${id}/pause`, { name: NAME })).status).toBe(404);
});

test('what the processes tell each other reaches no subscription, and no event or rate of theirs', async () => {
  const shop = await open();
  const all: string[] = [];
  await shop.messaging.subscribe({ route: '#', name: 'all' }, (_, { route }) => void all.push(route));
  const told: string[] = [];
  for (const name of ['delivered', 'published', 'settled'] as const)
    shop.messaging.events.on(name, () => told.push(name));
  await fleetOf(shop, 1);
  expect([all, told]).toEqual([[], []]);
  expect((await shop.get('subscriptions')).map(({ name }: any) => name)).toEqual([NAME, 'invoice.*', 'all']);
});

describe('A command', () => {
  let shop: Shop;
  let id: string;
  beforeEach(async () => {
    shop = await open();
    ({ own: id } = await fleetOf(shop, 1));
  });

  const command = (more: object = {}): object => ({
    ...{
      kind: 'command',
      command: randomUUID(),
      to: id,
      action: 'pause',
      name: NAME,
      operator: 'eve',
      from: 'elsewhere',
    },
    ...{ answerTo: 'nowhere', ...more },
  });
  const sealed = (more: object = {}, secret = SECRET, now = Date.now()): Buffer =>
    new Seal(secret, { ...systemClock, now: () => now }).close(command(more));
  /** As somebody does who may publish to the broker; and waits until it was heard. */
  async function send(body: Buffer): Promise<void> {
    const before = heard(await shop.get('fleet'));
    await publish(body);
    const isHeard = async (): Promise<boolean> => stateIn(shop) === 'paused' || heard(await shop.get('fleet')) > before;
    await waitFor(isHeard, 'that it was heard');
  }
  async function publish(body: Buffer): Promise<void> {
    const to = { kind: 'queue', queue: `shop:fleet:${id}:queue` } as const;
    const message = { id: randomUUID(), route: 'fleet', body, headers: {}, properties: {} };
    const outgoing = { to, message, dedupeId: message.id, mandatory: true };
    const [{ status }] = await publishAll(shop.messaging.described.transport, [outgoing]);
    expect(status).toBe('confirmed');
  }
  const heard = ({ refused }: any): number => Object.values<number>(refused).reduce((sum, count) => sum + count, 0);

  test('that is signed is done', async () => {
    await send(sealed());
    expect(stateIn(shop)).toBe('paused');
  });

  const tampered = (): Buffer => Buffer.from(sealed({ action: 'resume' }).toString().replace('resume', 'pause'));
  test.each([
    ['that is not signed', 'unsigned', () => Buffer.from(JSON.stringify(command()))],
    ['of another secret', 'unsigned', () => sealed({}, `${SECRET}!`)],
    ['that was changed on its way', 'unsigned', tampered],
    ['that is no text', 'unsigned', () => Buffer.from([0xff, 0x2e, 0x7b])],
    ['that is larger than any', 'unsigned', () => sealed({ more: 'x'.repeat(70_000) })],
    ['that is older than 30 s', 'expired', () => sealed({}, SECRET, Date.now() - 31_000)],
    ['of the future', 'expired', () => sealed({}, SECRET, Date.now() + 35_000)],
  ] as const)('%s is refused, counted, and told in one line', async (_, reason, body) => {
    await send(body());
    await send(body());
    expect(stateIn(shop)).toBe('consuming');
    expect((await shop.get('fleet')).refused).toEqual({ [reason]: 2 });
    expect(shop.log.lines.filter((line) => line.includes('is not listened to'))).toHaveLength(1);
  });

  test('that comes again is refused', async () => {
    const body = sealed();
    await send(body);
    shop.messaging.resume(NAME);
    await send(body);
    expect(stateIn(shop)).toBe('consuming');
    expect((await shop.get('fleet')).refused).toEqual({ replayed: 1 });
  });

  test('that is for another process, or asks for what there is not, does nothing', async () => {
    for (const more of [{ to: 'another' }, { action: 'stopIntake' }, { action: 'constructor' }])
      await publish(sealed(more));
    await send(Buffer.from('the end'));
    expect(stateIn(shop)).toBe('consuming');
    expect(shop.messaging.health().status).toBe('up');
    expect(await shop.get('activity')).toEqual([]);
  });
});

test('a process of another secret is not in the fleet, and both say why', async () => {
  const [one, other] = [await open(), await open({}, `${SECRET}!`)];
  await fleetOf(one, 1);
  await fleetOf(other, 1);
  await waitFor(async () => (await other.get('fleet')).refused.unsigned > 0, 'the ask of another secret', 20_000);
  expect((await fleetOf(other, 1)).processes[0].id).toBe((await other.get('fleet')).own);
});

test('who may not pause everywhere may look at the fleet, and not pause', async () => {
  const shop = await open({ dashboard: { access: () => ({ pause: true }) } });
  const { own } = await fleetOf(shop, 1);
  const refused = await shop.act('POST', `fleet/${own}/pause`, { name: NAME });
  expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('pauseEverywhere')]);
  expect(stateIn(shop)).toBe('consuming');
});

test('the secret is in no log, no health and no answer', async () => {
  const shop = await open();
  const { own } = await fleetOf(shop, 1);
  await shop.act('POST', `fleet/${own}/pause`, { name: NAME });
  const told = [shop.log.lines, shop.messaging.health(), await shop.get('snapshot'), await shop.get('session')];
  expect(JSON.stringify(told)).not.toContain(SECRET);
});

describe('What is refused at boot', () => {
  const refused = (fleet: unknown): string => {
    try {
      MessagingDashboardModule.forRoot({ insecure: true, fleet } as never);
      return 'nothing';
    } catch (error) {
      return (error as Error).message;
    }
  };

  test('a secret that is none or short, without telling it, and what there is not', () => {
    expect(refused({})).toContain('«dashboard.fleet.secret» is undefined; allowed: 32 characters or more');
    expect(refused({ secret: 'short-secret' })).toContain('a text of 12 characters');
    expect(refused({ secret: 'short-secret' })).not.toContain('short-secret');
    expect(refused({ secret: 7 })).toContain('is "number"');
    expect(refused(true)).toContain('dashboard.fleet');
    expect(refused({ secret: SECRET, version: 1 })).toContain('dashboard.fleet.version');
    expect(refused({ secret: SECRET, key: 1 })).toContain('«dashboard.fleet.key»');
    expect(refused({ secret: SECRET })).toBe('nothing');
  });

  test.each([
    ['kafka', kafka({ brokers: ['127.0.0.1:1'] })],
    ['sqs', sqs({ region: 'eu-central-1', endpoint: 'http://127.0.0.1:1' })],
  ])('on %s, where the queue of a killed process stays', (system, factory) => {
    const messaging = { environment: {}, described: { transport: factory.create(), topic: undefined } };
    const join = (): void => joinFleet(messaging as unknown as Messaging, { secret: SECRET });
    expect(join).toThrow(`«fleet» is "given on ${system}`);
    expect(join).toThrow('«coordination» pauses in all of them');
  });

  test('where nothing may be made, and without an application', () => {
    const { described } = { described: { transport: memory().create(), topic: 'events' } };
    const join = (messaging: object) => (): void => joinFleet(messaging as Messaging, { secret: SECRET });
    expect(join({ environment: { provision: false }, described })).toThrow('nobody else can make the queue');
    expect(join({ environment: {} })).toThrow('without an application');
  });
});
