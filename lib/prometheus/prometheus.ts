import type { Meter } from '@opentelemetry/api';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys } from '../errors/option-checks.js';
import { ConnectionTelemetry } from '../opentelemetry/connection-telemetry.js';
import type { DestinationTemplate } from '../opentelemetry/destination-labels.js';
import { observeQueues } from '../opentelemetry/gauges.js';
import { Guard } from '../opentelemetry/guard.js';
import { checkOpenTelemetryOptions } from '../opentelemetry/options.js';
import type { TelemetryFactory } from '../pipeline/telemetry.js';
import type { RequeueTelemetry } from '../requeue/requeue-telemetry.js';
import { DurationHistogram, Instrument, type Labels, Value } from './instruments.js';
import { SILENT_API, SILENT_TRACER } from './silent-spans.js';

/** What is used of a `Registry` of prom-client. */
export interface RegistryLike {
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
}

export interface PrometheusOptions {
  /** Where the metrics are: `register` of prom-client, or a registry of your own. */
  readonly registry: RegistryLike;
  /** As of `openTelemetry()`: what stands for a route with ids in it. */
  readonly destinationTemplate?: DestinationTemplate;
}

/**
 * Metrics for Prometheus in a registry of prom-client, for the option `telemetry` of `MessagingModule` and of
 * `RequeueModule`: those of `openTelemetry()`, with the same names as Prometheus writes them. Spans need `openTelemetry()`:
 * `openTelemetry({ meter: prometheusMeter({ registry }) })` has both. @throws InvalidOptionError
 */
export function prometheus(options: PrometheusOptions): TelemetryFactory & RequeueTelemetry {
  knownKeys('prometheus', options, ['registry', 'destinationTemplate']);
  const meter = prometheusMeter(options) as Meter;
  const { destinationTemplate } = options;
  const checked = checkOpenTelemetryOptions({ meter, tracer: SILENT_TRACER, destinationTemplate });
  const load = async (): Promise<typeof SILENT_API> => SILENT_API;
  return {
    create: (environment) => new ConnectionTelemetry(checked, environment, load),
    observeRequeue: async (queues) => observeQueues(meter, new Guard(SILENT_API), undefined, queues),
  };
}

/**
 * What `openTelemetry()` takes as its `meter`: its metrics are in a registry of prom-client, and its spans go where spans go.
 * @throws InvalidOptionError
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- its type is that of an optional peer, which users of Prometheus need not have
export function prometheusMeter({ registry }: Pick<PrometheusOptions, 'registry'>): any {
  if (typeof registry?.registerMetric !== 'function' || typeof registry.getSingleMetric !== 'function')
    throw new InvalidOptionError('prometheus.registry', registry, '`register` of prom-client, or a Registry of it');
  const known = meters.get(registry) ?? new RegistryMeter(registry);
  meters.set(registry, known);
  return known;
}

/** Connections that share a registry share what observes them. */
const meters = new WeakMap<RegistryLike, RegistryMeter>();

interface Described {
  readonly unit?: string;
  readonly description?: string;
}
type Observe = (result: { observe(instrument: Value, value: number, labels: Labels): void }) => void;

/** As much of a `Meter` as is used. */
class RegistryMeter {
  private readonly observers = new Map<Observe, readonly Value[]>();
  private collecting = false;

  constructor(private readonly registry: RegistryLike) {}

  createHistogram(name: string, { unit, description = '' }: Described): DurationHistogram {
    return this.registered(promName(name, unit), (own) => new DurationHistogram(own, description), 'histogram');
  }

  createCounter(name: string, { description = '' }: Described): Value {
    return this.registered(`${promName(name)}_total`, (own) => new Value('counter', own, description), 'counter');
  }

  createObservableGauge(name: string, { unit, description = '' }: Described): Value {
    const own = promName(name, unit);
    return this.registered(own, () => new Value('gauge', own, description, () => this.collect()), 'gauge');
  }

  createObservableCounter(name: string, { description = '' }: Described): Value {
    const own = `${promName(name)}_total`;
    return this.registered(own, () => new Value('counter', own, description, () => this.collect()), 'counter');
  }

  addBatchObservableCallback(observe: Observe, instruments: readonly Value[]): void {
    this.observers.set(observe, instruments);
  }

  /** What a connection that has ended had is not told any more. */
  removeBatchObservableCallback(observe: Observe, instruments: readonly Value[]): void {
    this.observers.delete(observe);
    for (const one of instruments) one.reset();
  }

  /** Once for all that are asked for in one turn, as a registry asks. */
  private collect(): void {
    if (this.collecting) return;
    this.collecting = true;
    queueMicrotask(() => (this.collecting = false));
    for (const instrument of new Set([...this.observers.values()].flat())) instrument.reset();
    const result = { observe: (one: Value, value: number, labels: Labels) => one.set(value, labels) };
    for (const observe of this.observers.keys()) observe(result);
  }

  /** Several connections share what a registry has once. */
  private registered<I extends Instrument>(name: string, make: (name: string) => I, type: I['type']): I {
    const found = this.registry.getSingleMetric(name);
    if (found instanceof Instrument && found.type === type) return found as I;
    if (found !== undefined)
      throw new InvalidOptionError('prometheus.registry', name, 'a registry in which nobody else has this name');
    const made = make(name);
    this.registry.registerMetric(made as never);
    return made;
  }
}

/** Names as exporters of OpenTelemetry write them for Prometheus. */
function promName(name: string, unit?: string): string {
  const suffix = unit === 's' ? '_seconds' : unit === 'By' ? '_bytes' : '';
  return name.replaceAll('.', '_') + suffix;
}
