import type { Attributes } from '@opentelemetry/api';
import type { Delivery } from '../transport/delivery.js';
import type { Destination } from '../transport/outgoing.js';
import type { TelemetryNames } from '../transport/telemetry-names.js';
import { attribute } from './conventions.js';

/** Versions of OpenTelemetry's semantic conventions whose names can be had, the default first. */
export const SEMANTIC_CONVENTIONS = ['1.28', '1.45'] as const;

/** A version of OpenTelemetry's semantic conventions. */
export type SemanticConventions = (typeof SEMANTIC_CONVENTIONS)[number];

/** What a connection's telemetry calls its system and places, by a version of the conventions. */
export class Naming {
  /** What says which system it is. */
  readonly system: Attributes;
  /** The attribute of a routing key; undefined: the system has none. */
  readonly routingKey: string | undefined;
  /** Where the topic stands in front: what is called so without one. */
  private readonly nameless: string | undefined;

  constructor(
    version: SemanticConventions | undefined,
    system: string,
    /** The exchange of what names none. */
    private readonly topic?: string,
    names?: TelemetryNames,
  ) {
    const renamed = version === '1.45';
    this.system = { [renamed ? attribute.systemName : attribute.system]: system };
    this.routingKey = names?.routingKey[renamed ? '1.45' : '1.28'];
    if (renamed) this.nameless = names?.nameless;
  }

  /** The name of where a message is sent; `shortened`: what stands for its route. */
  destinationOf(to: Destination, shortened = routeOf(to)): string {
    if (this.nameless === undefined || to.kind !== 'route') return shortened;
    return joined(to.topic ?? this.topic, shortened) || this.nameless;
  }

  /** The name of where a message came from, where that is more than its queue. */
  sourceOf({ queue, direct, topic, message: { route } }: Delivery): string | undefined {
    if (this.nameless === undefined || direct) return undefined;
    return joined(topic, route === queue ? undefined : route, queue);
  }
}

/** The route, or the queue where it is sent to one. */
export function routeOf(to: Destination): string {
  return to.kind === 'queue' ? to.queue : to.route;
}

function joined(...parts: readonly (string | undefined)[]): string {
  return parts.filter(Boolean).join(':');
}
