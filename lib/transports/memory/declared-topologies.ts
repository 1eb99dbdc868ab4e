import type { Topology } from '../../transport/topology.js';

/** What a client declared, so that it can be made again; a queue with patterns on two topics has two entries. */
export class DeclaredTopologies {
  private entries: readonly Topology[] = [];
  /** Taken back while there was no connection to say so. */
  private unbound: readonly Topology[] = [];

  of(queue: string): readonly Topology[] {
    return this.entries.filter((entry) => entry.queue === queue);
  }

  all(): readonly Topology[] {
    return this.entries;
  }

  remember(topology: Topology): void {
    const before = this.entries.find((entry) => isSame(entry, topology));
    const patterns = [...new Set([...(before?.patterns ?? []), ...topology.patterns])];
    this.entries = [...this.entries.filter((entry) => entry !== before), { ...topology, patterns }];
    this.unbound = this.unbound.map((entry) => (isSame(entry, topology) ? without(entry, topology.patterns) : entry));
  }

  /** The patterns of the topology are not to be bound again. */
  forgetPatterns(topology: Topology): void {
    this.entries = this.entries.map((entry) => (isSame(entry, topology) ? without(entry, topology.patterns) : entry));
  }

  unbindLater(topology: Topology): void {
    this.unbound = [...this.unbound, topology];
  }

  takeUnbound(): readonly Topology[] {
    const { unbound } = this;
    this.unbound = [];
    return unbound;
  }
}

function isSame(a: Topology, b: Topology): boolean {
  return a.queue === b.queue && a.topic === b.topic;
}

function without(topology: Topology, patterns: readonly string[]): Topology {
  return { ...topology, patterns: topology.patterns.filter((pattern) => !patterns.includes(pattern)) };
}
