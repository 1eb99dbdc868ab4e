/** What one subscription needs to exist on the broker. */
export interface Topology {
  readonly queue: string;
  /** Exchange (topic) the patterns are bound on; left out: the transport's default. */
  readonly topic?: string;
  /** Routes or patterns (`*` one word, `#` zero or more); empty for a queue that is only sent to by name. */
  readonly patterns: readonly string[];
  /** The dead-letter queue and the route that binds it; left out with `dlq: false`. */
  readonly deadLetter?: { readonly queue: string; readonly route: string };
  /** True: create what is missing. False: only check that it is there. */
  readonly provision: boolean;
  /** The broker's own options for this queue, as given under the broker's key of the subscription. */
  readonly native?: Readonly<Record<string, unknown>>;
}
