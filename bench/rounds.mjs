import { setTimeout as pause } from 'node:timers/promises';
import { ClientProcess } from './client-process.mjs';

/** This part of a filled queue passes before the measuring begins: the end of the client's start belongs to it. */
const START_SHARE = 3;

/** Messages under way while a side gets warm: one at a time would be measured before its code is compiled. */
const WARM = 100;

/** Measures one row: its sides take turns, round after round. Gives one list of figures per round. */
export async function measureRow(row, { load, place, settings, packageDirectory, onRound }) {
  const clients = row.sides.map((side) => new ClientProcess(side, { packageDirectory, profile: settings.profile }));
  try {
    const { play, warmUp } = player(row, place, { load, settings });
    for (const client of clients) await warmUp(client);
    const rounds = [];
    while (rounds.length < settings.rounds) {
      const round = [];
      for (const client of clients) round.push(await play(client));
      rounds.push(round);
      onRound(rounds.length);
    }
    return rounds;
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** How a client plays one round of this kind of row, and gets warm before. */
function player(row, place, { load, settings }) {
  const { roundMs, warmUpMs, settleMs } = settings;
  const task = { ...row, ...place };
  switch (row.kind) {
    case 'publish': {
      const play = async (client, changes = { durationMs: roundMs }) => {
        await load.purge(place.queue);
        await pause(settleMs);
        return client.run({ ...task, ...changes });
      };
      return { play, warmUp: (client) => play(client, { durationMs: warmUpMs, inFlight: WARM }) };
    }
    case 'embedded':
      return {
        play: (client) => client.run({ ...task, durationMs: roundMs }),
        warmUp: (client) => client.run({ ...task, durationMs: warmUpMs }),
      };
    case 'consume': {
      let count = row.prefetch === 1 ? 500 : 5_000;
      const play = async (client, changes = { count }) => {
        await load.purge(place.queue);
        await load.fill(place.exchange, place.route, changes.count);
        await pause(settleMs);
        return client.run({ ...task, skip: Math.round(changes.count / START_SHARE), ...changes });
      };
      const warmUp = async (client) => {
        await play(client, { count: warmUpMs * 10, prefetch: WARM });
        // The same number for both sides, from what the first of them did.
        const { perSecond } = await play(client);
        if (client.side === row.sides[0]) count = Math.round(Math.min(20_000, (perSecond * roundMs) / 1_000));
      };
      return { play, warmUp };
    }
    case 'paced': {
      const count = Math.round((row.perSecond * roundMs) / 1_000);
      const play = async (client) => {
        await load.purge(place.queue);
        await pause(settleMs);
        const pace = async () => {
          // Long enough for whatever a client still has to do after its start.
          await pause(settleMs * 4);
          await load.pace(place.exchange, place.route, count, row.perSecond);
        };
        return client.run({ ...task, count, skip: Math.round(count / 10) }, () => void pace());
      };
      const warmUp = async (client) => {
        await load.fill(place.exchange, place.route, warmUpMs * 10);
        await client.run({ ...task, kind: 'consume', count: warmUpMs * 10, skip: warmUpMs });
      };
      return { play, warmUp };
    }
  }
}
