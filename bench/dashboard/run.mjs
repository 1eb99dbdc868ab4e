// npm run bench:dashboard: what the dashboard costs beside a Nest application, with many dead letters, queues and open pages.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { withPackage } from '../measured-package.mjs';
import { machine, markdown, number } from '../report.mjs';
import { wholeNumber } from '../settings.mjs';
import { quantile, spread } from '../statistics.mjs';
import { Tabs } from './tabs.mjs';

const QUEUES = 200;
const DEAD_LETTERS = 10_000;
const TABS = 50;
const IN_FLIGHT = 64;
/** What is promised: at most so many times an empty endpoint, and so much of the throughput lost. */
const MOST_TIMES = 3;
const MOST_LOST = 0.03;
const PATHS = ['overview', 'subscriptions', 'queues', 'publisher', 'redrives', 'activity', 'snapshot', 'dead-letters', 'dead-letters/groups', 'plan']; // prettier-ignore

const { values } = parseArgs({
  options: { calls: { type: 'string', default: '300' }, rounds: { type: 'string', default: '10' }, ms: { type: 'string', default: '4000' } }, // prettier-ignore
});
const [calls, rounds, roundMs] = ['calls', 'rounds', 'ms'].map((name) => wholeNumber(name, values[name]));
const server = fileURLToPath(new URL('server.mjs', import.meta.url));

await withPackage(undefined, async (directory) => {
  const child = fork(server, [directory, QUEUES, DEAD_LETTERS, IN_FLIGHT].map(String));
  try {
    const [{ url }] = await once(child, 'message');
    const ask = async (what) => {
      const answer = once(child, 'message');
      child.send({ ask: what });
      return (await answer)[0];
    };
    const api = await latencies(url);
    const lost = await throughput(url, ask);
    await ask('rest');
    console.log(`\n${api.table}\n\n${lost.table}\n\n${calls} calls of each path in turn, ${rounds} rounds of ${roundMs} ms each side; ${machine('embedded broker')}`); // prettier-ignore
    const over = [...api.over, ...lost.over];
    for (const line of over) console.log(`over: ${line}`);
    if (over.length > 0) process.exitCode = 1;
    child.send({ ask: 'end' });
    await once(child, 'exit');
  } finally {
    child.kill('SIGKILL');
  }
});

/** Each path in turn with the empty endpoint, while all pages are open. */
async function latencies(url) {
  const tabs = await Tabs.open(`${url}/messaging`, TABS);
  const { letters } = await (await fetch(`${url}/messaging/api/v1/dead-letters`)).json();
  const paths = ['/empty', ...PATHS.map((path) => `/messaging/api/v1/${path}`), `/messaging/api/v1/dead-letters/${letters[0].key}`]; // prettier-ignore
  const taken = new Map(paths.map((path) => [path, []]));
  for (let call = -20; call < calls; call++)
    for (const path of paths) {
      const start = performance.now();
      const answer = await fetch(url + path);
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
      if (call >= 0) taken.get(path).push(performance.now() - start);
    }
  await tabs.close();
  const found = [...taken].map(([path, times]) => {
    const sorted = times.sort((one, other) => one - other);
    return { path: path.replace(/dead-letters\/[\w-]{22}$/, 'dead-letters/<key>'), p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) }; // prettier-ignore
  });
  const [empty] = found;
  const lines = found.map(({ path, p50, p95 }) => [`\`${path}\``, number(p50), number(p95), (p95 / empty.p95).toFixed(2)]); // prettier-ignore
  const over = found.filter(({ p95 }) => p95 > MOST_TIMES * empty.p95);
  return {
    table: markdown(['path', 'p50 ms', 'p95 ms', '÷ of the empty endpoint'], lines),
    over: over.map(
      ({ path, p95 }) => `${path}: p95 is ${(p95 / empty.p95).toFixed(2)} times that of an empty endpoint`,
    ),
  };
}

/** The same handlers without a page and with all, round after round, each first as often. */
async function throughput(url, ask) {
  const rate = async () => {
    const [from, to] = [await ask('count'), (await new Promise((done) => setTimeout(done, roundMs)), await ask('count'))]; // prettier-ignore
    return ((to.handled - from.handled) / (to.at - from.at)) * 1_000;
  };
  const withTabs = async () => {
    const tabs = await Tabs.open(`${url}/messaging`, TABS);
    const found = await rate();
    await tabs.close();
    return found;
  };
  await ask('load');
  await rate();
  await withTabs();
  const pairs = [];
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0;
    const one = await (first ? rate() : withTabs());
    const other = await (first ? withTabs() : rate());
    pairs.push(first ? [one, other] : [other, one]);
  }
  const [without, with_, kept] = [pairs.map(([one]) => one), pairs.map(([, other]) => other), pairs.map(([one, other]) => other / one)].map(spread); // prettier-ignore
  const line = (title, values, quotient) => [title, `${number(values.median)} (${number(values.low)}–${number(values.high)})`, quotient]; // prettier-ignore
  const times = `${kept.median.toFixed(3)} (${kept.low.toFixed(3)}–${kept.high.toFixed(3)})`;
  return {
    table: markdown(['handlers', 'messages/s', '÷'], [line('no page', without, ''), line(`${TABS} pages`, with_, times)]), // prettier-ignore
    over: kept.median < 1 - MOST_LOST ? [`throughput falls to ${kept.median.toFixed(3)}`] : [],
  };
}
