import type { Attributes, BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import type { TelemetryState } from '../pipeline/telemetry.js';
import { REQUEUE_SYSTEM } from '../requeue/requeue-telemetry.js';
import { attribute, metric, requeueMetric, type Metric } from './conventions.js';
import type { Guard } from './guard.js';
import { Naming, type SemanticConventions } from './naming.js';

type Observation = (name: Metric, value: number, attributes: Attributes) => void;

/**
 * Observes metrics whenever they are collected, until the returned function is called; `observe` asks nobody but the
 * process itself.
 */
function observing(
  meter: Meter,
  guard: Guard,
  metrics: readonly Metric[],
  observe: (observation: Observation) => void,
): () => void {
  const instruments = new Map<Metric, Observable>();
  for (const one of metrics) {
    const { name, instrument, unit, description } = one;
    const options = { unit, description };
    const observable =
      instrument === 'gauge'
        ? meter.createObservableGauge(name, options)
        : meter.createObservableCounter(name, options);
    instruments.set(one, observable);
  }
  const observables = [...instruments.values()];
  const callback = (result: BatchObservableResult): void => {
    try {
      observe((name, value, attributes) => result.observe(instruments.get(name)!, value, attributes));
    } catch (error) {
      guard.failed(error);
    }
  };
  meter.addBatchObservableCallback(callback, observables);
  return () => meter.removeBatchObservableCallback(callback, observables);
}

/** What waits at a connection. */
export function observeConnection(
  meter: Meter,
  guard: Guard,
  { naming, connection }: { readonly naming: Naming; readonly connection: string },
  state: () => TelemetryState,
): () => void {
  const { paused, coordinationReachable } = metric;
  const { inFlight, retryQueueDepth, retryQueueBytes, retryQueueAge, publisherDeadLetters, deadLetterDepth } = metric;
  const shared = { ...naming.system, [attribute.connection]: connection };
  const metrics = [
    paused,
    coordinationReachable,
    inFlight,
    retryQueueDepth,
    retryQueueBytes,
    retryQueueAge,
    publisherDeadLetters,
    deadLetterDepth,
  ];
  return observing(meter, guard, metrics, (observe) => {
    const { consumers, retryQueue, deadLetters, coordination } = state();
    if (coordination) observe(coordinationReachable, coordination.reachable ? 1 : 0, shared);
    observe(retryQueueDepth, retryQueue.depth, shared);
    observe(retryQueueBytes, retryQueue.bytes, shared);
    observe(retryQueueAge, retryQueue.oldestAgeMs / 1_000, shared);
    observe(publisherDeadLetters, deadLetters.publisher, shared);
    for (const consumer of consumers) {
      const labels = { ...shared, [attribute.destination]: consumer.queue };
      observe(inFlight, consumer.inFlight, labels);
      observe(paused, consumer.state === 'paused' ? 1 : 0, labels);
    }
    for (const { queue, count } of deadLetters.queues)
      observe(deadLetterDepth, count, { ...shared, [attribute.destination]: queue });
  });
}

/** One queue of a requeue service, as its statistics tell it. */
export type RequeueQueueCounts = Readonly<
  Record<Exclude<keyof typeof requeueMetric, 'oldestAge'> | 'oldestAgeMs', number>
> & { readonly queue: string };

/** The statistics of a requeue service. */
export function observeQueues(
  meter: Meter,
  guard: Guard,
  version: SemanticConventions | undefined,
  queues: () => readonly RequeueQueueCounts[],
): () => void {
  const { system } = new Naming(version, REQUEUE_SYSTEM);
  return observing(meter, guard, Object.values(requeueMetric), (observe) => {
    for (const counts of queues()) {
      const labels = { ...system, [attribute.destination]: counts.queue };
      for (const [name, one] of Object.entries(requeueMetric)) {
        if (name === 'oldestAge') observe(one, counts.oldestAgeMs / 1_000, labels);
        else observe(one, counts[name as Exclude<keyof typeof requeueMetric, 'oldestAge'>], labels);
      }
    }
  });
}
