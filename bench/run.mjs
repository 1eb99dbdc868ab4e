// Measures this package against raw amqplib, side by side on one private RabbitMQ; see docs/performance.md.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBroker } from './broker.mjs';
import { Load } from './load.mjs';
import { copyPackage } from './measured-package.mjs';
import { declare, placeOf, remove } from './place.mjs';
import { circumstances, table } from './report.mjs';
import { measureRow } from './rounds.mjs';
import { queueTypes, rows } from './rows.mjs';
import { readSettings, usage } from './settings.mjs';
import { summarize } from './statistics.mjs';

const settings = readSettings(process.argv.slice(2));
if (settings.help) console.log(usage);
else await main();

async function main() {
  const project = fileURLToPath(new URL('..', import.meta.url));
  mkdirSync(join(project, '.build'), { recursive: true });
  const directory = mkdtempSync(join(project, '.build/bench-'));
  try {
    const packageDirectory = copyPackage(settings.package ?? project, directory);
    const wanted = rows.filter(({ name }) => name.includes(settings.only ?? ''));
    if (wanted.length === 0) throw new Error(`No row's name contains «${settings.only}»`);
    console.error('Starting RabbitMQ …');
    const broker = await startBroker(settings.rabbitmq, directory);
    try {
      report(await measure(wanted, broker.url, packageDirectory));
    } finally {
      await broker.stop();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(wanted, url, packageDirectory) {
  const load = await Load.connect(url);
  const exchange = `bench-${process.pid}`;
  const places = queueTypes.map((queueType) => placeOf(queueType, { url, exchange }));
  try {
    await declare(places, packageDirectory);
    const results = [];
    for (const [at, row] of wanted.entries()) {
      const onRound = (round) => progress(`${at + 1}/${wanted.length} ${row.name}: round ${round}/${settings.rounds}`);
      const place = placeOf(row.queueType, { url, exchange });
      const rounds = await measureRow(row, { load, place, settings, packageDirectory, onRound });
      results.push({ row, rounds, summary: summarize(rounds) });
    }
    progress();
    return { results, broker: load.broker };
  } finally {
    await remove(places, load);
    await load.close();
  }
}

function report({ results, broker }) {
  const text = circumstances(settings, broker);
  console.log(`${table(results)}\n\n${text}`);
  if (settings.json) writeFileSync(settings.json, `${JSON.stringify({ circumstances: text, results }, null, 2)}\n`);
}

/** On a terminal one line that changes, elsewhere a line per row. */
function progress(line = '') {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
  else if (line.endsWith(`round ${settings.rounds}/${settings.rounds}`)) console.error(line);
}
