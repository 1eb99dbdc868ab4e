// One process of a service whose handlers are limited over all of its processes.
import { point, run, tell } from './mortal-process.mjs';

const WORK_MS = 100;
const held = (state) => Object.keys(state === undefined ? {} : JSON.parse(state).held).length;

await run({
  async around(key, ask) {
    point('asking');
    const { result, state, now } = await ask();
    // A permit and its end have no result; a permit is for one that did not have it, so that the next look finds one more.
    if (key === 'limit:shop:paced:' && result === undefined) {
      tell('paced', now);
      point('paced');
    }
    if (key === 'limit:shop:capped:' && result === undefined && held(state) < 2) point('permitted');
    return result;
  },
  async subscribe(messaging) {
    await messaging.subscribe({ route: 'capped', limit: { concurrency: 2 }, prefetch: 4 }, async ({ n }) => {
      tell('begun', n);
      point('handling');
      await new Promise((resolve) => setTimeout(resolve, WORK_MS));
      tell('ended', n);
      point('handled');
    });
    await messaging.subscribe({ route: 'paced', limit: { rate: 12, per: 3_000 }, prefetch: 4 }, ({ n }) =>
      tell('done', n),
    );
  },
});
