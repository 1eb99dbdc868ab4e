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

/** One row's rounds: the spread of each figure per side, and of ours ÷ raw, round by round. */
export function summarize(rounds) {
  const sides = rounds[0].map((_, side) =>
    Object.fromEntries(FIGURES.map((figure) => [figure, spread(rounds.map((round) => round[side][figure]))])),
  );
  if (sides.length < 2) return { sides };
  const ratios = FIGURES.map((figure) => [figure, spread(rounds.map(([raw, ours]) => ours[figure] / raw[figure]))]);
  return { sides, ratios: Object.fromEntries(ratios) };
}
