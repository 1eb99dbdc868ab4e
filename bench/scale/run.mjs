// How this package behaves with many processes, many subscriptions and many messages; see docs/performance.md.
import { writeFileSync } from 'node:fs';
import { withBrokers } from '../brokers.mjs';
import { withPackage } from '../measured-package.mjs';
import { machine } from '../report.mjs';
import { measureBacklog } from './backlog.mjs';
import { measureProcesses } from './processes.mjs';
import { readScaleSettings, usage } from './settings.mjs';
import { measureSubscriptions } from './subscriptions.mjs';

const parts = { processes: measureProcesses, subscriptions: measureSubscriptions, backlog: measureBacklog };

const settings = readScaleSettings(process.argv.slice(2));
if (settings.help) console.log(usage);
else await main();

async function main() {
  await withPackage(settings.package, async (packageDirectory, directory) => {
    const context = { settings, packageDirectory, directory };
    await withBrokers(new Set(['rabbitmq']), context, async ({ stages, placeOf, version }) => {
      const stage = stages.rabbitmq;
      const results = {};
      for (const [name, measure] of Object.entries(parts)) {
        if (settings.only !== undefined && settings.only !== name) continue;
        console.error(`${name} …`);
        const place = (queueType) => placeOf(queueType, stage.url);
        const { text, samples } = await measure({ settings, packageDirectory, stage, place });
        results[name] = samples;
        console.log(`${text}\n`);
      }
      console.log(machine(version));
      if (settings.json) writeFileSync(settings.json, `${JSON.stringify(results, null, 2)}\n`);
    });
  });
}
