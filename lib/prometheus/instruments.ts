import { DURATION_BUCKETS } from '../opentelemetry/conventions.js';

export type Labels = Readonly<Record<string, unknown>>;

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly metricName?: string;
  readonly value: number;
}

/** A metric as a registry of prom-client asks for it. */
export abstract class Instrument {
  abstract readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator = 'sum';
  /** Labels are objects that are used again: most measurements need not look into them. */
  private readonly known = new WeakMap<Labels, string>();

  constructor(
    /** A registry for OpenMetrics takes `_total` off. */
    public name: string,
    readonly help: string,
    /** Asks for what is observed instead of counted. */
    private readonly collect: () => void = () => undefined,
  ) {}

  async get(): Promise<object> {
    this.collect();
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: this.samples() };
  }

  abstract reset(): void;

  protected abstract samples(): Sample[];

  protected keyOf(labels: Labels): string {
    const known = this.known.get(labels);
    if (known !== undefined) return known;
    const key = JSON.stringify(named(labels));
    this.known.set(labels, key);
    return key;
  }
}

/** A counter, or a gauge. */
export class Value extends Instrument {
  private readonly values = new Map<string, number>();

  constructor(
    readonly type: 'counter' | 'gauge',
    ...rest: ConstructorParameters<typeof Instrument>
  ) {
    super(...rest);
  }

  add(value: number, labels: Labels = {}): void {
    const key = this.keyOf(labels);
    this.values.set(key, (this.values.get(key) ?? 0) + value);
  }

  set(value: number, labels: Labels): void {
    this.values.set(this.keyOf(labels), value);
  }

  reset(): void {
    this.values.clear();
  }

  protected samples(): Sample[] {
    return [...this.values].map(([key, value]) => ({ labels: labelsOf(key), value }));
  }
}

export class DurationHistogram extends Instrument {
  readonly type = 'histogram';
  /** For each labels: how many in each bucket, beyond all, and the sum. */
  private readonly series = new Map<string, { readonly counts: number[]; sum: number }>();

  record(seconds: number, labels: Labels = {}): void {
    const key = this.keyOf(labels);
    let one = this.series.get(key);
    if (!one) this.series.set(key, (one = { counts: Array<number>(DURATION_BUCKETS.length + 1).fill(0), sum: 0 }));
    const bucket = DURATION_BUCKETS.findIndex((bound) => seconds <= bound);
    one.counts[bucket < 0 ? DURATION_BUCKETS.length : bucket]++;
    one.sum += seconds;
  }

  reset(): void {
    this.series.clear();
  }

  protected samples(): Sample[] {
    const { name } = this;
    return [...this.series].flatMap(([key, { counts, sum }]) => {
      const labels = labelsOf(key);
      let count = 0;
      const buckets = counts.map((more, at) => ({
        metricName: `${name}_bucket`,
        labels: { ...labels, le: String(DURATION_BUCKETS[at] ?? '+Inf') },
        value: (count += more),
      }));
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ];
    });
  }
}

/** `messaging.system` is `messaging_system` there. */
function named(labels: Labels): [string, string][] {
  return Object.entries(labels)
    .map(([name, value]): [string, string] => [name.replaceAll('.', '_'), String(value)])
    .sort(([one], [other]) => (one < other ? -1 : 1));
}

function labelsOf(key: string): Record<string, string> {
  return Object.fromEntries(JSON.parse(key) as [string, string][]);
}
