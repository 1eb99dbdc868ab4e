/** The value below which the share `q` of the sorted values lies, interpolated. */
export function quantile(sorted, q) {
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** Median and interquartile range. */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75) };
}

export const FIGURES = ['perSecond', 'cpuMicros', 'p50', 'p99'];

/** More is better. */
const INCREASING = ['perSecond'];

/**
 * One row's rounds, contestant by contestant: the spread of each figure, and of its ratio to the first contestant's, round
 * by round. undefined for one without figures.
 */
export function summarize(rounds) {
  return rounds[0].map((_, at) => {
    const complete = rounds.every((round) => round[at] !== undefined);
    if (!complete) return undefined;
    const compared = at > 0 && rounds.every(([first]) => first !== undefined);
    return {
      figures: spreads((figure) => rounds.map((round) => round[at][figure])),
      ratios: compared ? spreads((figure) => rounds.map((round) => round[at][figure] / round[0][figure])) : undefined,
    };
  });
}

/** Whether `figures` are better than `others`: only when the interquartile ranges do not overlap. */
export function verdict(figures, others, figure) {
  const sign = INCREASING.includes(figure) ? 1 : -1;
  if (figures[figure].low > others[figure].high) return sign > 0 ? 'ahead' : 'behind';
  if (figures[figure].high < others[figure].low) return sign > 0 ? 'behind' : 'ahead';
  return 'level';
}

function spreads(valuesOf) {
  return Object.fromEntries(FIGURES.map((figure) => [figure, spread(valuesOf(figure))]));
}
