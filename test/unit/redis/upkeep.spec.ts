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
  const upkeep = new Upkeep({ clock, onEvent } as never, 1_000, () => link, { sweep: async () => undefined });
  upkeep.start();
  await clock.advance(5_000);
  expect(warnings).toEqual([]);
  ahead += jump;
  await clock.advance(5_000);
  expect(warnings).toEqual([expect.stringMatching(told)]);
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
