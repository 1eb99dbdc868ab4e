import type { Attributes } from '@opentelemetry/api';
import type { Destination } from '../transport/outgoing.js';
import { Labels } from './labels.js';
import { type Naming, routeOf } from './naming.js';

/** Destinations that are named in metrics; a process that sends to more has routes with ids in them. */
export const MAX_DESTINATIONS = 1_000;

/** Stands for the destinations of a kind: `user.*.renamed` for `user.17.renamed`; undefined: the name itself. */
export type DestinationTemplate = (destination: string) => string | undefined;

/** Where messages are sent to: what is measured of it. */
export class DestinationLabels {
  private readonly named = new Map<string, Labels>();
  private readonly templated = new Map<string, Labels>();
  private readonly unnamed: Labels;

  constructor(
    private readonly shared: Attributes,
    private readonly naming: Naming,
    private readonly template: DestinationTemplate | undefined,
  ) {
    this.unnamed = new Labels({ name: 'send', type: 'send' }, shared);
  }

  of(to: Destination): Labels {
    const shortened = this.template?.(routeOf(to));
    const name = this.naming.destinationOf(to, shortened);
    if (shortened !== undefined) return this.find(this.templated, name, { template: name });
    return this.find(this.named, name, { destination: name });
  }

  private find(known: Map<string, Labels>, key: string, place: { destination?: string; template?: string }): Labels {
    const found = known.get(key);
    if (found) return found;
    if (this.named.size + this.templated.size >= MAX_DESTINATIONS) return this.unnamed;
    const labels = new Labels({ name: 'send', type: 'send', ...place }, this.shared);
    known.set(key, labels);
    return labels;
  }
}
