import { ClientProcess } from '../client-process.mjs';
import { markdown, number } from '../report.mjs';

const COUNTS = [1, 2, 4];
const PREFETCH = 100;

/** One queue, drained by several processes that begin together. */
export async function measureProcesses({ settings, packageDirectory, stage, place }) {
  const count = Math.ceil(settings.messages / 10);
  const target = place(settings.queue);
  const samples = [];
  for (const processes of COUNTS) {
    await stage.fill(target, count);
    const clients = Array.from({ length: processes }, () => newClient(packageDirectory));
    try {
      await Promise.all(clients.map((client) => client.run({ ...target, phase: 'start' })));
      const task = { ...target, phase: 'drain', prefetch: PREFETCH };
      samples.push({ processes, ...total(await Promise.all(clients.map((client) => client.run(task)))) });
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
    const { handled } = samples.at(-1);
    if (handled < count) throw new Error(`${processes} processes handled ${handled} of ${count} messages`);
  }
  return { samples, text: report(samples, count, settings) };
}

function newClient(packageDirectory) {
  return new ClientProcess({ title: 'consumer process', path: 'scale/clients/drain.mjs' }, { packageDirectory });
}

function total(results) {
  const working = results.filter(({ handled }) => handled > 0);
  const handled = sum(results.map((result) => result.handled));
  const begin = Math.min(...working.map(({ firstAt }) => firstAt));
  const end = Math.max(...working.map(({ lastAt }) => lastAt));
  return {
    handled,
    perSecond: (handled / (end - begin)) * 1_000,
    cpuMicros: sum(results.map(({ cpu }) => cpu)) / handled,
    smallestShare: Math.min(...results.map((result) => result.handled)) / handled,
  };
}

const sum = (values) => values.reduce((left, right) => left + right, 0);

function report(samples, count, { queue }) {
  const header = ['consumer processes', 'messages/s', '÷ one process', 'CPU µs/message, all', 'smallest share'];
  const lines = samples.map(({ processes, perSecond, cpuMicros, smallestShare }) => [
    String(processes),
    number(perSecond),
    (perSecond / samples[0].perSecond).toFixed(2),
    number(cpuMicros),
    `${(smallestShare * 100).toFixed(0)} %`,
  ]);
  const title = `### ${number(count)} messages of one ${queue} queue, prefetch ${PREFETCH}`;
  return `${title}\n\n${markdown(header, lines)}`;
}
