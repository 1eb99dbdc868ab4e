import { cpus } from 'node:os';
import { verdict } from './statistics.mjs';

/** Three digits that count. */
export const number = (value) =>
  value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));

const range = ({ median, low, high }) => `${number(median)} (${number(low)}–${number(high)})`;

const ratio = (spread) =>
  spread ? `${spread.median.toFixed(2)} (${spread.low.toFixed(2)}–${spread.high.toFixed(2)})` : '';

/** `÷` is the quotient of this line's figure and the row's first line's. */
const HEADER = ['row', 'side', 'messages/s', '÷', 'client CPU µs/message', '÷', 'p50 ms', 'p99 ms', 'ours is'];

/** Everything that was measured: a Markdown table per group of rows. */
export function tables(results) {
  return [...grouped(results)].map(
    ([group, members]) => `### ${group}\n\n${markdown(HEADER, members.flatMap(rowLines))}`,
  );
}

export function markdown(header, lines) {
  const widths = header.map((_, at) => Math.max(...[header, ...lines].map((line) => line[at].length)));
  const format = (line) => `| ${line.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`;
  return [format(header), format(widths.map((width) => '-'.repeat(width))), ...lines.map(format)].join('\n');
}

function rowLines({ row, contestants, failures, summary }) {
  const ours = summary[contestants.findIndex(({ side }) => side === 'ours')];
  return contestants.map(({ side, title }, at) => {
    const start = [at === 0 ? row.name : '', title];
    if (!summary[at]) return [...start, `NOT MEASURED: ${failures[at]}`, '', '', '', '', '', ''];
    const { figures, ratios } = summary[at];
    return [
      ...start,
      range(figures.perSecond),
      ratio(ratios?.perSecond),
      range(figures.cpuMicros),
      ratio(ratios?.cpuMicros),
      range(figures.p50),
      range(figures.p99),
      row.variants || side === 'ours' || !ours ? '' : comparison(row, ours.figures, figures),
    ];
  });
}

/** Where messages come evenly their number says nothing: then it is the latency. */
function comparison(row, ours, theirs) {
  const [figure, name] = row.kind === 'paced' ? ['p50', 'p50'] : ['perSecond', 'messages/s'];
  const tail = row.kind === 'request' ? `, p99 ${verdict(ours, theirs, 'p99')}` : '';
  return `${name} ${verdict(ours, theirs, figure)}${tail}, CPU ${verdict(ours, theirs, 'cpuMicros')}`;
}

function grouped(results) {
  const groups = new Map();
  for (const result of results) groups.set(result.row.group, [...(groups.get(result.row.group) ?? []), result]);
  return groups;
}

/** What the figures depend on, in one line. */
export function circumstances({ rounds, roundMs }, broker) {
  return `${rounds} rounds of about ${roundMs} ms each side; ${machine(broker)}`;
}

export function machine(broker) {
  const [{ model }] = cpus();
  return `Node ${process.version}, ${broker}, ${cpus().length} × ${model}`;
}
