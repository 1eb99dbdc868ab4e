// One process of a service with three recurring messages, one for each policy of missed times.
import { Recurring } from 'nestjs-messaging/recurring';
import { point, run, tell } from './mortal-process.mjs';

class Ticks {}
for (const missed of ['all', 'once', 'skip']) {
  Ticks.prototype[missed] = ({ id }) => ({ id });
  const descriptor = Object.getOwnPropertyDescriptor(Ticks.prototype, missed);
  Recurring('*/20 * * * * *', `tick.${missed}`, { missed, name: missed })(Ticks.prototype, missed, descriptor);
}

let sent = false;

await run({
  providers: [Ticks],
  options: { consume: false },
  async around(key, ask) {
    point('before the claim');
    const { result, state, now } = await ask();
    const { fire, until } = state === undefined ? {} : JSON.parse(state);
    const claimed = result?.at;
    if (claimed !== undefined && claimed === fire)
      tell('taken', `${key.slice('recurring:'.length)}:${new Date(fire).toISOString()}`, until, now);
    if (claimed !== undefined) point('claimed');
    else if (result === undefined && sent) point('recorded');
    return result;
  },
  sending({ id }, send) {
    point('before the send');
    send(() => {
      tell('sent', id);
      sent = true;
      point('sent');
    });
    point('amid the send');
  },
});
