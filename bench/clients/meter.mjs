import { quantile } from '../statistics.mjs';
import { startProfile, stopProfile } from './profiler.mjs';

/** Measures one round of this process: time, CPU time of all its threads, and a latency per message. */
export class Meter {
  constructor() {
    this.latencies = new Float64Array(1 << 16);
    this.count = 0;
  }

  /** With a collection before, which holds up what comes meanwhile: not where the latency of what comes is measured. */
  start({ collect = true } = {}) {
    if (collect) globalThis.gc();
    startProfile();
    this.count = 0;
    this.cpu = process.cpuUsage();
    this.startedAt = performance.now();
  }

  /** One message is done. */
  add(latencyMs) {
    if (this.count === this.latencies.length) this.grow();
    this.latencies[this.count++] = latencyMs;
  }

  stop() {
    const elapsedMs = performance.now() - this.startedAt;
    const { user, system } = process.cpuUsage(this.cpu);
    stopProfile();
    const sorted = this.latencies.slice(0, this.count).sort();
    return {
      messages: this.count,
      perSecond: (this.count / elapsedMs) * 1_000,
      cpuMicros: (user + system) / this.count,
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
    };
  }

  grow() {
    const longer = new Float64Array(this.latencies.length * 2);
    longer.set(this.latencies);
    this.latencies = longer;
  }
}
