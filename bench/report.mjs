import { cpus } from 'node:os';
import { FIGURES } from './statistics.mjs';

/** Three digits that count. */
const number = (value) => (value >= 100 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3)));

const range = ({ median, low, high }) => `${number(median)} (${number(low)}–${number(high)})`;

const ratio = ({ median, low, high }) => `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;

const TITLES = { perSecond: 'messages/s', cpuMicros: 'client CPU µs/message', p50: 'p50 ms', p99: 'p99 ms' };

/** The summary as a Markdown table: median (interquartile range) of the rounds. */
export function table(results) {
  const header = ['row', 'side', ...FIGURES.map((figure) => TITLES[figure])];
  const lines = results.flatMap(({ row, summary }) => rowLines(row, summary));
  const widths = header.map((_, at) => Math.max(...[header, ...lines].map((line) => line[at].length)));
  const format = (line) => `| ${line.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`;
  return [format(header), format(widths.map((width) => '-'.repeat(width))), ...lines.map(format)].join('\n');
}

function rowLines(row, { sides, ratios }) {
  const names = sides.length > 1 ? ['raw amqplib', 'nestjs-messaging'] : ['nestjs-messaging'];
  const lines = sides.map((figures, at) => [
    at === 0 ? row.name : '',
    names[at],
    ...FIGURES.map((figure) => range(figures[figure])),
  ]);
  if (ratios) lines.push(['', '**ours ÷ raw**', ...FIGURES.map((figure) => ratio(ratios[figure]))]);
  return lines;
}

/** What the figures depend on, in one line. */
export function circumstances({ rounds, roundMs }, broker) {
  const [{ model }] = cpus();
  return `${rounds} rounds of about ${roundMs} ms each side; Node ${process.version}, ${broker}, ${cpus().length} × ${model}`;
}
