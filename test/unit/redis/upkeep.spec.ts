import { expect, it } from '@jest/globals';
import type { TransportEvent } from 'nestjs-messaging/transport';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Claims } from '../../../lib/transports/redis/claims.js';
import type { Link } from '../../../lib/transports/redis/link.js';
import { Names } from '../../../lib/transports/redis/routes.js';
import { Upkeep } from '../../../lib/transports/redis/upkeep.js';

it.each([
  [3_600_000, /went forward by 3600000 ms: what is delayed comes that much earlier/],
  [-3_600_000, /went back by 3600000 ms: what is delayed comes that much later/],
])('a clock of the server that jumps by %i ms is told, once', async (jump, told) => {
  const clock = new ManualClock();
  let ahead = 500;
  const time = async (): Promise<string[]> => [String(Math.floor((clock.now() + ahead) / 1_000)), '0'];
  const link = { client: { time } } as unknown as Link;
  const warnings: string[] = [];
  const onEvent = (event: TransportEvent): void => void (event.type === 'warning' && warnings.push(event.message));
  const upkeep = new Upkeep({ clock, onEvent } as never, 1_000, () => link, { sweep: async () => undefined }, async () => undefined); // prettier-ignore
  upkeep.start();
  await clock.advance(5_000);
  expect(warnings).toEqual([]);
  ahead += jump;
  await clock.advance(5_000);
  expect(warnings).toEqual([expect.stringMatching(told)]);
  upkeep.stop();
});

it('what the server says of itself is looked at every half minute, what changed is told once, and health has it', async () => {
  const clock = new ManualClock();
  const link = { client: { time: async () => [String(Math.floor(clock.now() / 1_000)), '0'] } } as unknown as Link;
  const warnings: string[] = [];
  const onEvent = (event: TransportEvent): void => void (event.type === 'warning' && warnings.push(event.message));
  let server: Record<string, string> = { role: 'primary', appendfsync: 'always', 'maxmemory-policy': 'noeviction' };
  let asked = 0;
  const upkeep = new Upkeep({ clock, onEvent } as never, 5_000, () => link, { sweep: async () => undefined }, async () => {
    asked++;
    upkeep.surveyed({ durable: true, remarks: [], server });
  }); // prettier-ignore
  expect(upkeep.server).toBeUndefined();
  upkeep.surveyed({ durable: true, remarks: [], server });
  upkeep.start();
  await clock.advance(29_000);
  expect([asked, upkeep.server]).toEqual([0, server]);
  server = { ...server, appendfsync: 'everysec' };
  await clock.advance(90_000);
  expect(asked).toBe(3);
  expect(warnings).toEqual(['The server of Redis was set otherwise: appendfsync is everysec, and was always']);
  expect(upkeep.server).toEqual({ ...server, changed: 'appendfsync (was always)' });
  upkeep.stop();
});

it('a consumer is dead when its sign has not changed for a lease by the clock of who watches, whatever the server says', async () => {
  let signs = ['me', '1000:30000', 'other', '1000:30000'];
  const left: unknown[] = [];
  const link = {
    run: async (script: { lua: string }, _keys: unknown, values: unknown[]) => {
      if (script.lua.includes('DELCONSUMER')) left.push(values);
      return signs;
    },
  } as unknown as Link;
  const claims = new Claims(link, new Names('m'), 'q', 'me', 30_000);
  const look = async (now: number): Promise<void> => {
    await claims.beat();
    await claims.reap(now);
  };
  await look(0);
  await look(29_000);
  // The clock of the server has gone back: the sign is another all the same.
  signs = ['me', '1000:30000', 'other', '-5:30000'];
  await look(31_000);
  await look(60_000);
  expect(left).toEqual([]);
  await look(61_000);
  expect(left).toEqual([['other', '-5:30000', '{m}:wake', 'q']]);
});
