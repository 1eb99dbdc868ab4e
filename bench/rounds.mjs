import { ClientProcess } from './client-process.mjs';
import { playerOf } from './players.mjs';

/** Far more than any round takes: whoever needs longer hangs, and must not hold up the others. */
const LIMIT_MS = 120_000;

/**
 * Measures one row: its contestants take turns, round after round. Gives the rounds, each a list of figures, and why a
 * contestant has none: a peer that fails is left out from then on, the others go on.
 */
export async function measureRow(row, contestants, { stage, placeOf, settings, packageDirectory, onRound }) {
  const failures = contestants.map(({ missing }) => missing);
  const players = contestants.map((contestant) => {
    if (contestant.missing) return undefined;
    const label = `${row.name}-${contestant.side}-${contestant.title}`.replace(/[^\w]+/g, '-');
    const client = new ClientProcess(contestant, {
      packageDirectory,
      profile: settings.profile,
      label,
      limitMs: LIMIT_MS,
    });
    const place = placeOf(contestant.queueType ?? row.queueType, stage?.url);
    const player = playerOf(
      { ...row, ...contestant, ...place, variants: undefined },
      { client, place, stage, settings, packageDirectory },
    );
    return { client, ...player };
  });
  const attempt = async (at, work) => {
    if (failures[at]) return undefined;
    try {
      return await work(players[at]);
    } catch (error) {
      if (!contestants[at].peer) throw error;
      failures[at] = error.message.split('\n')[0];
      // What it still does would be in the figures of the others.
      players[at].client.kill();
      console.error(`\n${error.message}`);
      return undefined;
    }
  };
  try {
    for (const at of players.keys()) await attempt(at, (player) => player.warmUp());
    const rounds = [];
    while (rounds.length < settings.rounds) {
      const round = [];
      for (const at of turns(players.length, rounds.length)) round[at] = await attempt(at, (player) => player.play());
      rounds.push(round);
      onRound(rounds.length);
    }
    return { rounds, failures };
  } finally {
    await Promise.all(players.map((player) => player?.client.end()));
    await Promise.all(players.map((player) => player?.end?.()));
  }
}

/**
 * The order of a round. Whoever follows a heavy load on the broker has it harder: each begins as often as the others, and
 * then the direction changes.
 */
function turns(count, round) {
  const order = Array.from({ length: count }, (_, n) => (n + round) % count);
  return Math.floor(round / count) % 2 === 0 ? order : order.reverse();
}
