import type { Attributes } from '@opentelemetry/api';
import type { Destination } from '../transport/outgoing.js';
import { Labels } from './labels.js';

/** Destinations that are named in metrics; a process that sends to more has routes with ids in them. */
export const MAX_DESTINATIONS = 1_000;

/** Stands for the destinations of a kind: `user.*.renamed` for `user.17.renamed`; undefined: the name itself. */
export type DestinationTemplate = (destination: string) => string | undefined;

/** Where messages are sent to: what is measured of it. */
export class Destinations {
  private readonly named = new Map<string, Labels>();
  private readonly templated = new Map<string, Labels>();
  private readonly unnamed: Labels;

  constructor(
    private readonly shared: Attributes,
    private readonly template: DestinationTemplate | undefined,
  ) {
    this.unnamed = new Labels({ name: 'send', type: 'send' }, shared);
  }

  of(name: string): Labels {
    const template = this.template?.(name);
    if (template !== undefined) return this.find(this.templated, template, { template });
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

/** What a destination is called in telemetry: the route, or the queue where it is sent to one. */
export function nameOf(to: Destination): string {
  return to.kind === 'queue' ? to.queue : to.route;
}
