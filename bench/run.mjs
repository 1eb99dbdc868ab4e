// Measures this package against raw amqplib and other packages, side by side on the same brokers; see docs/performance.md.
import { writeFileSync } from 'node:fs';
import { withBrokers } from './brokers.mjs';
import { installPeer } from './peers.mjs';
import { circumstances, tables } from './report.mjs';
import { measureRow } from './rounds.mjs';
import { rows } from './rows.mjs';
import { readSettings, usage } from './settings.mjs';
import { contestantsOf } from './sides.mjs';
import { summarize } from './statistics.mjs';
import { withPackage } from './measured-package.mjs';

const settings = readSettings(process.argv.slice(2));
if (settings.help) console.log(usage);
else await main();

async function main() {
  const wanted = rows
    .filter(({ name, apart }) => (settings.only === undefined ? !apart : name.includes(settings.only)))
    .map((row) => ({ row, contestants: contestantsOf(row, settings.sides) }))
    .filter(({ contestants }) => contestants.length > 0);
  if (wanted.length === 0) throw new Error(`No row's name contains «${settings.only}» and has such a side`);
  install(wanted.flatMap(({ contestants }) => contestants));
  await withPackage(settings.package, async (packageDirectory, directory) => {
    const brokers = new Set(wanted.map(({ row }) => row.on));
    await withBrokers(brokers, { settings, packageDirectory, directory }, async ({ stages, placeOf, version }) => {
      const results = [];
      for (const [at, { row, contestants }] of wanted.entries()) {
        const name = `${at + 1}/${wanted.length} ${row.name}`;
        const onRound = (round) => progress(`${name}: round ${round}/${settings.rounds}`);
        const context = { stage: stages[row.on], placeOf, settings, packageDirectory, onRound };
        const { rounds, failures } = await measureRow(row, contestants, context);
        results.push({ row, contestants, rounds, failures, summary: summarize(rounds) });
      }
      progress();
      report(results, version);
    });
  });
}

/** The peers that are wanted and not there yet; what cannot be installed is said in its rows. */
function install(contestants) {
  const peers = [...new Set(contestants.map(({ peer }) => peer).filter((peer) => peer !== undefined))];
  const reasons = new Map(peers.map((peer) => [peer, installPeer(peer)]));
  for (const contestant of contestants) contestant.missing = reasons.get(contestant.peer);
}

function report(results, broker) {
  const text = circumstances(settings, broker);
  console.log(`${tables(results).join('\n\n')}\n\n${text}`);
  if (settings.json) writeFileSync(settings.json, `${JSON.stringify({ circumstances: text, results }, null, 2)}\n`);
}

/** On a terminal one line that changes, elsewhere a line per row. */
function progress(line = '') {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
  else if (line.endsWith(`round ${settings.rounds}/${settings.rounds}`)) console.error(line);
}
