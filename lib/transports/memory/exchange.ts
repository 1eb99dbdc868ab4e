import { compilePattern, hasWildcard, wordsOf, type PatternMatcher } from '../../transport/topic-pattern.js';

/** Routes are often unbounded (an id as a word), so the table of them is started afresh at this size. */
const MAX_CACHED_ROUTES = 10_000;

interface Binding<Q> {
  readonly matches: PatternMatcher;
  readonly queues: Set<Q>;
}

/** Bindings by pattern. The queues of a route are found once and remembered until a binding changes. */
export class TopicExchange<Q> {
  private readonly exact = new Map<string, Set<Q>>();
  private readonly wildcards = new Map<string, Binding<Q>>();
  private readonly routes = new Map<string, readonly Q[]>();

  bind(pattern: string, queue: Q): void {
    this.routes.clear();
    if (!hasWildcard(pattern)) return addTo(this.exact, pattern, queue);
    const binding = this.wildcards.get(pattern);
    if (binding) binding.queues.add(queue);
    else this.wildcards.set(pattern, { matches: compilePattern(pattern), queues: new Set([queue]) });
  }

  unbind(pattern: string, queue: Q): void {
    this.routes.clear();
    const queues = this.exact.get(pattern) ?? this.wildcards.get(pattern)?.queues;
    if (!queues?.delete(queue) || queues.size > 0) return;
    this.exact.delete(pattern);
    this.wildcards.delete(pattern);
  }

  unbindAll(queue: Q, but: readonly string[] = []): void {
    for (const pattern of [...this.exact.keys(), ...this.wildcards.keys()])
      if (!but.includes(pattern)) this.unbind(pattern, queue);
  }

  patternsOf(queue: Q): string[] {
    const exact = [...this.exact].filter(([, queues]) => queues.has(queue));
    const wildcards = [...this.wildcards].filter(([, { queues }]) => queues.has(queue));
    return [...exact, ...wildcards].map(([pattern]) => pattern);
  }

  /** Each queue once, however many of its patterns match. */
  queuesFor(route: string): readonly Q[] {
    const known = this.routes.get(route);
    if (known) return known;
    const found = new Set(this.exact.get(route));
    const words = wordsOf(route);
    for (const binding of this.wildcards.values()) {
      if (binding.matches(words)) for (const queue of binding.queues) found.add(queue);
    }
    if (this.routes.size >= MAX_CACHED_ROUTES) this.routes.clear();
    const queues = [...found];
    this.routes.set(route, queues);
    return queues;
  }
}

/** Bindings by the very route: what dead letters are published to. `*` and `#` are ordinary characters here. */
export class DirectExchange<Q> {
  private readonly bindings = new Map<string, Set<Q>>();

  bind(route: string, queue: Q): void {
    addTo(this.bindings, route, queue);
  }

  unbindAll(queue: Q): void {
    for (const [route, queues] of this.bindings) {
      if (queues.delete(queue) && queues.size === 0) this.bindings.delete(route);
    }
  }

  queuesFor(route: string): readonly Q[] {
    return [...(this.bindings.get(route) ?? [])];
  }
}

function addTo<Q>(bindings: Map<string, Set<Q>>, key: string, queue: Q): void {
  const queues = bindings.get(key);
  if (queues) queues.add(queue);
  else bindings.set(key, new Set([queue]));
}
