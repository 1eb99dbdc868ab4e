import { SubscriptionConflictError } from '../../errors/configuration-errors.js';
import { NoHandlerError } from '../../errors/handling-errors.js';
import { textResult } from '../../errors/result-checks.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import { compose, type Handler } from '../../pipeline/middleware.js';
import { Outcome } from '../../pipeline/outcome.js';
import { scheduleOf, type Backoff } from '../../retry/backoff.js';
import { compilePattern, hasWildcard, overlap, type PatternMatcher, wordsOf } from '../../transport/topic-pattern.js';
import type { HandledSubscription, HandledSingly } from './handled.js';
import type { SubscriptionDefinition } from './subscription-definition.js';

/**
 * One subscription per queue, its handlers behind the schemas of their routes. Those that share a queue become one, which hands each message to the handler of its route.
 * @throws SubscriptionConflictError when two of them handle the same route, or differ in their options
 */
export function mergeByQueue(subscriptions: readonly HandledSubscription[]): HandledSubscription[] {
  const byQueue = new Map<string, HandledSubscription[]>();
  for (const one of subscriptions) {
    const { queue } = one.definition.topology;
    byQueue.set(queue, [...(byQueue.get(queue) ?? []), one]);
  }
  return [...byQueue.values()].map((group) => {
    const singly = group.filter((one) => !('batchHandler' in one)) as HandledSingly[];
    if (singly.length === group.length) return merge(singly.map(validated));
    if (group.length > 1) throw sharedWithBatch(group);
    return group[0];
  });
}

function validated({ definition, handler }: HandledSingly): HandledSingly {
  return { definition, handler: compose(definition.validations, handler) };
}

function sharedWithBatch(group: readonly HandledSubscription[]): SubscriptionConflictError {
  const [{ definition }, other] = group;
  return new SubscriptionConflictError(
    `${shared(definition, other.definition)}, and one of them is a batch, which has a queue of its own. Give one a «name»`,
  );
}

function merge(group: readonly HandledSingly[]): HandledSingly {
  const [first, ...others] = group;
  const { definition } = first;
  if (others.length === 0 && !definition.routing) return first;
  for (const [at, one] of group.entries())
    for (const other of group.slice(at + 1)) checkPair(one.definition, other.definition);
  const union = (read: (definition: SubscriptionDefinition) => readonly string[]): string[] => [
    ...new Set(group.flatMap((one) => read(one.definition))),
  ];
  const handlers = [...new Set(group.flatMap((one) => one.definition.handledBy ?? []))].join(', ');
  const handledBy = handlers === '' ? undefined : handlers;
  return {
    definition: {
      ...definition,
      ...(handledBy !== undefined && { handledBy }),
      routes: union(({ routes }) => routes),
      topology: { ...definition.topology, patterns: union(({ topology }) => topology.patterns) },
    },
    handler: router(group),
  };
}

function router(group: readonly HandledSingly[]): Handler {
  const exact = new Map<string, Handler>();
  const patterns: { readonly meant: PatternMatcher; readonly handler: Handler }[] = [];
  for (const { definition, handler } of group) {
    for (const pattern of patternsHandledBy(definition)) {
      if (hasWildcard(pattern)) patterns.push({ meant: compilePattern(pattern), handler });
      else exact.set(pattern, handler);
    }
  }
  const byPattern = (route: string): Handler | undefined => {
    const words = wordsOf(route);
    return patterns.find(({ meant }) => meant(words))?.handler;
  };
  const routeBy = group[0].definition.routing?.routeBy ?? routeOf;
  return (context) => {
    const route = textResult('«routeBy»', routeBy(context));
    const handler = route === undefined ? undefined : (exact.get(route) ?? byPattern(route));
    if (handler) return handler(context);
    return Outcome.deadLetter('no-handler', new NoHandlerError(`«${context.queue}» has no handler for «${route}»`));
  };
}

function routeOf({ route }: MessageContext): string {
  return route;
}

function patternsHandledBy({ routing, routes }: SubscriptionDefinition): readonly string[] {
  return routing?.handles ?? routes;
}

function checkPair(one: SubscriptionDefinition, other: SubscriptionDefinition): void {
  const queue = shared(one, other);
  for (const pattern of patternsHandledBy(one)) {
    const clash = patternsHandledBy(other).find((theirs) => overlap(pattern, theirs));
    if (clash !== undefined)
      throw new SubscriptionConflictError(
        `${queue}, and both handle ${pattern === clash ? `«${pattern}»` : `what fits «${pattern}» and «${clash}»`}: each message would reach only one of them. Give one a «name»`,
      );
  }
  const difference = COMPARED.find(([, read]) => !same(read(one), read(other)))?.[0];
  if (difference !== undefined)
    throw new SubscriptionConflictError(
      `${queue}, but differ in «${difference}», which the queue has once. Give both the same options (one object for both), or give one a «name» of its own`,
    );
}

/** Which queue two subscriptions share, and whose they are. */
export function shared(one: SubscriptionDefinition, other: SubscriptionDefinition): string {
  return `Two subscriptions share the queue «${one.topology.queue}» (${described(one)} and ${described(other)})`;
}

function described({ handledBy = 'a handler', routes }: SubscriptionDefinition): string {
  return `${handledBy} for ${routes.join(', ')}`;
}

/** What subscriptions of one queue have in common, by the option that says it. */
const COMPARED: readonly (readonly [string, (definition: SubscriptionDefinition) => unknown])[] = [
  ['dlq', ({ topology }) => topology.deadLetter],
  ['name', ({ name }) => name],
  ['topic', ({ topology }) => topology.topic],
  ['bind', ({ topology }) => topology.patterns.length > 0],
  ['adopt', ({ topology }) => topology.adopt],
  ['exclusive', ({ topology }) => topology.exclusive],
  ["the broker's own options", ({ topology }) => topology.native],
  ['prefetch', ({ prefetch }) => prefetch],
  ['concurrency', ({ concurrency }) => concurrency],
  ['retry', ({ retry }) => retry],
  ['timeout', ({ timeoutMs }) => timeoutMs],
  ['delay', ({ delayMs }) => delayMs],
  ['killSwitch', ({ killSwitch }) => killSwitch],
  ['limit', ({ limit }) => limit],
  ['idempotent', ({ idempotent }) => idempotent],
  ['serializer', ({ serializer }) => serializer],
  ['middleware', ({ middleware }) => middleware],
  ['answers', ({ answers }) => answers],
  ['routeBy', ({ routing }) => routing?.routeBy],
];

/** By value; functions by identity, and backoffs of this package by what they were made with. */
function same(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one === 'function' && typeof other === 'function') {
    const schedule = scheduleOf(one as Backoff);
    return schedule !== undefined && same(schedule, scheduleOf(other as Backoff));
  }
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  const keys = Object.keys(one);
  return (
    Object.getPrototypeOf(one) === Object.getPrototypeOf(other) &&
    keys.length === Object.keys(other).length &&
    keys.every((key) => same((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]))
  );
}
