import { InvalidOptionError, SubscriptionConflictError, UnsupportedError } from '../../errors/configuration-errors.js';
import {
  checkBoolean,
  checkName,
  checkPattern,
  checkRoute,
  checkShortText,
  functions,
  integerBetween,
  knownKeys,
  numberBetween,
} from '../../errors/option-checks.js';
import type { IdempotencyStoreFactory } from '../../idempotency/idempotency-store.js';
import { defineIdempotent, type IdempotentDefinition } from '../../idempotency/idempotent-options.js';
import { memoryIdempotencyStore } from '../../idempotency/memory-idempotency-store.js';
import { checkSerializer, type Serializer } from '../../message/serializer.js';
import type { Middleware } from '../../pipeline/middleware.js';
import { validation } from '../../pipeline/middleware/validation.js';
import { type AnswerDefinition, defineAnswers } from '../../request/answer-options.js';
import { replyCheck } from '../../request/reply-schema.js';
import { RetryPolicy, type RetryOptions } from '../../retry/retry-policy.js';
import { compilePattern, hasWildcard, wordsOf } from '../../transport/topic-pattern.js';
import {
  type Partitioning,
  partitionQueue,
  type QueueSplit,
  type Topology,
  type Wait,
} from '../../transport/topology.js';
import { TRANSPORT_NAMES } from '../../transports/names.js';
import { type Concurrency, type ConcurrencySurroundings, unbounded } from '../schedule/concurrency.js';
import { exclusiveOf } from './exclusive-queue.js';
import { checkKillSwitch, type KillSwitchOptions } from '../kill-switch.js';
import { defineLimit, type LimitDefinition } from './limit-options.js';
import type { Route, SubscribeRequest, SubscriptionOptions } from './subscription-options.js';

/** One subscription with everything decided: names, policy, limits. */
export interface SubscriptionDefinition {
  /** The name that `subscriptions` overrides by: `name`, or the only route. */
  readonly name: string;
  /** The handler, in words: `Orders.onCreated`, or several where they share the queue. Undefined: nobody has said. */
  readonly handledBy?: string;
  /** The consumers that share the queue. */
  readonly group: string;
  /** What the subscription subscribes to; `topology.patterns`, unless somebody else binds its queue. */
  readonly routes: readonly string[];
  readonly topology: Topology;
  /** Its queue is split by key; `topology.partitions` says into how many. */
  readonly partitioning: QueueSplit | undefined;
  readonly prefetch: number;
  readonly concurrency: Concurrency;
  readonly retry: RetryPolicy;
  /** Undefined: the calls of other processes do not matter. */
  readonly limit?: LimitDefinition;
  readonly timeoutMs: number | undefined;
  readonly delayMs: number;
  readonly killSwitch: Required<KillSwitchOptions> | undefined;
  readonly idempotent: IdempotentDefinition | undefined;
  /** Reads its bodies; undefined: the connection's. */
  readonly serializer?: Serializer;
  readonly middleware: readonly Middleware[];
  /** Undefined: nobody is answered, and nobody is told of it. */
  readonly answers?: AnswerDefinition;
  /** By the schemas of its routes; around the handler alone, since handlers that share a queue have their own. */
  readonly validations: readonly Middleware[];
  /** How handlers that share the queue are told apart, where that is not by their routes. */
  readonly routing: Routing | undefined;
}

export interface Routing {
  readonly handles: readonly string[] | undefined;
  readonly routeBy: SubscriptionOptions['routeBy'];
}

export interface SubscriptionDefaults {
  readonly service: string;
  /** Names the application that runs. */
  readonly instance: string;
  readonly system: string;
  readonly provision: boolean;
  readonly retry: RetryOptions | false;
  readonly middleware: readonly Middleware[];
  /** Of `idempotent` subscriptions that name none. Default: in memory. */
  readonly idempotencyStore?: IdempotencyStoreFactory;
  readonly maxDelayMs: number;
  /** The transport can use a queue of somebody else's as it is. Default false. */
  readonly adopts?: boolean;
  /** False: the broker does not decide about `*` and `#`. Default true. */
  readonly wildcards?: boolean;
  /** Left out where the broker does not split queues. */
  readonly partitioning?: Pick<Partitioning, 'option' | 'splitBy'>;
  /** Whether replies can be sent. Default false. */
  readonly replies?: boolean;
  /** How long the broker waits for an ack, in milliseconds. Left out: for ever. */
  readonly ackTimeoutMs?: number;
}

/** The name a subscription is known by: its `name`, or its only route. @throws SubscriptionConflictError */
export function subscriptionName(request: SubscribeRequest): string {
  const routes = routesOf(request);
  if (request.name !== undefined) return checkName('name', request.name);
  if (routes.length > 1)
    throw new SubscriptionConflictError(
      `A subscription of several routes (${routes.join(', ')}) needs a «name»: its queue is called after it`,
    );
  return routes[0];
}

/** Decides and checks every option of a subscription. @throws InvalidOptionError @throws SubscriptionConflictError */
export function defineSubscription(request: SubscribeRequest, defaults: SubscriptionDefaults): SubscriptionDefinition {
  checkOptionNames(request, OPTION_NAMES, defaults.system);
  const name = subscriptionName(request);
  const group = checkName('group', request.group ?? defaults.service);
  const { dlq = true, prefetch = 10, concurrency = unbounded(), timeout, delay = 0, bind = true } = request;
  const native = nativeOptions(request, defaults.system);
  const partitioning = native && defaults.partitioning?.splitBy(native);
  const retry = new RetryPolicy(request.retry ?? defaults.retry);
  const killSwitch = request.killSwitch === undefined ? undefined : checkKillSwitch(request.killSwitch);
  const surroundings: ConcurrencySurroundings = {
    prefetch: integerBetween('prefetch', prefetch, 1, 65_535),
    delayMs: numberBetween('delay', delay, 0, defaults.maxDelayMs),
    ackTimeoutMs: defaults.ackTimeoutMs ?? Infinity,
    isPartitioned: partitioning !== undefined,
    firstRetryMs: retry.longestWaits()?.[0],
    probeAfterMs: killSwitch?.probeAfter,
  };
  checkConcurrency(concurrency, surroundings, defaults.partitioning?.option);
  const exclusive = exclusiveOf(request, {
    provision: defaults.provision,
    splitBy: partitioning && defaults.partitioning?.option,
    probeAfterMs: killSwitch?.probeAfter,
  });
  const own = exclusive ? `${name}:${defaults.instance}` : name;
  const queue = checkShortText('queue', request.queue ?? `${group}:${own}:queue`);
  const routes = routesIn(request, defaults);
  if (!checkBoolean('bind', bind) && request.topic !== undefined)
    throw new InvalidOptionError('topic', request.topic, 'left out beside «bind: false»: nothing is bound to it');
  const adopt = adopts(request, { ...defaults, split: partitioning && defaults.partitioning?.option });
  if (partitioning) checkShortText('queue', `${partitionQueue(queue, partitioning.count)}.owner`);
  const deadLetter = dlq === false ? undefined : deadLetterOf(dlq, group, name);
  if (deadLetter?.queue === queue)
    throw new SubscriptionConflictError(
      `«${queue}» cannot be its own dead-letter queue: give «dlq.queue» another name`,
    );
  const { idempotent = false } = request;
  const serializer = serializerOf(request);
  // What waits for its delay was under way for a while: about that long, or half of it.
  const waits: Wait[] = [...retry.waits(), ...(delay > 0 ? [[Math.max(1, delay / 2), delay] as const] : [])];
  return {
    name,
    group,
    routes,
    topology: {
      queue,
      ...(request.topic !== undefined && { topic: checkShortText('topic', request.topic) }),
      patterns: bind ? routes : [],
      ...(deadLetter && { deadLetter }),
      provision: defaults.provision,
      ...(adopt && { adopt }),
      ...(waits.length > 0 && { waits }),
      ...(partitioning && { partitions: partitioning.count }),
      ...(exclusive && { exclusive }),
      ...(native && { native }),
    },
    partitioning,
    prefetch,
    concurrency,
    retry,
    ...(request.limit !== undefined && { limit: defineLimit(request.limit, concurrency) }),
    timeoutMs: timeout === undefined ? undefined : numberBetween('timeout', timeout, 1, Number.MAX_SAFE_INTEGER),
    delayMs: delay,
    killSwitch,
    idempotent:
      idempotent === false
        ? undefined
        : defineIdempotent(idempotent, retry, defaults.idempotencyStore ?? memoryIdempotencyStore(), !!deadLetter),
    ...(serializer && { serializer }),
    middleware: [...defaults.middleware, ...functions('middleware', request.middleware ?? [])],
    answers: defineAnswers(request.answers ?? true, { system: defaults.system, replies: defaults.replies ?? false }),
    validations: [...validations(request), ...replyChecks(request)],
    routing: routingOf(request),
  };
}

/** Whether the queue is used as it is. @throws InvalidOptionError @throws UnsupportedError */
function adopts(
  { adopt = false, queue, exclusive }: SubscribeRequest,
  { system, adopts: canAdopt, split }: SubscriptionDefaults & { readonly split?: string },
): boolean {
  if (!checkBoolean('adopt', adopt)) return false;
  if (queue === undefined) throw new InvalidOptionError('adopt', true, 'nothing without «queue», its name: give that');
  const beside = exclusive ? 'exclusive' : split;
  if (beside !== undefined)
    throw new InvalidOptionError('adopt', true, `left out beside «${beside}», which makes a queue of its own kind`);
  if (canAdopt) return true;
  throw new UnsupportedError(
    `${system} cannot adopt «${queue}»: a queue there is what this package makes of it. Leave out «adopt»`,
  );
}

/** A transport that core does not know by name has options under its own. @throws InvalidOptionError */
export function checkOptionNames(request: object, names: readonly string[], system: string): void {
  knownKeys('subscription', request, [...new Set([...names, system])]);
}

/** What stands under the name of the transport. */
function nativeOptions(request: SubscribeRequest, system: string): Topology['native'] {
  const native = (request as unknown as Readonly<Record<string, Topology['native']>>)[system];
  if (native !== undefined && (typeof native !== 'object' || native === null))
    throw new InvalidOptionError(system, native, 'an object');
  return native;
}

/** A schema of a route checks what comes by it; each route has its own. */
function validations({ route }: SubscribeRequest): Middleware[] {
  const routes = Array.isArray(route) ? (route as readonly Route[]) : [route as Route];
  return routes.flatMap((one) => {
    if (typeof one === 'string' || one.schema === undefined) return [];
    const validate = validation(one.schema);
    if (routes.length === 1) return [validate];
    const meant = compilePattern(one.route);
    return [(context, next) => (meant(wordsOf(context.route)) ? validate(context, next) : next())];
  });
}

/** Its own, or that of its contracts: a queue has one. @throws InvalidOptionError */
function serializerOf({ serializer, route }: SubscribeRequest): Serializer | undefined {
  if (serializer !== undefined) return checkSerializer('serializer', serializer);
  const routes = Array.isArray(route) ? (route as readonly Route[]) : [route as Route];
  const [own, ...others] = new Set(routes.map((one) => (typeof one === 'string' ? undefined : one.serializer)));
  if (others.length > 0)
    throw new InvalidOptionError(
      'serializer',
      undefined,
      'given here, where contracts with different ones share a queue: one that reads the bodies of all',
    );
  return own && checkSerializer('serializer', own);
}

/** Innermost: what the handler itself returns, where it is to be an answer. */
function replyChecks({ answers }: SubscribeRequest): Middleware[] {
  const schema = typeof answers === 'object' ? answers.schema : undefined;
  return schema === undefined ? [] : [replyCheck(schema)];
}

function routesOf({ route }: SubscribeRequest): readonly string[] {
  const routes = (Array.isArray(route) ? (route as readonly Route[]) : [route as Route]).map((one) =>
    typeof one === 'string' ? one : one?.route,
  );
  if (routes.length === 0) throw new InvalidOptionError('route', route, 'a route, or an array of at least one route');
  for (const one of routes) checkPattern('route', checkRoute('route', one));
  return [...new Set(routes)];
}

/** @throws UnsupportedError for wildcards that nobody would decide about */
function routesIn(request: SubscribeRequest, { system, wildcards = true }: SubscriptionDefaults): readonly string[] {
  const routes = routesOf(request);
  const pattern = wildcards ? undefined : routes.find(hasWildcard);
  if (pattern === undefined) return routes;
  throw new UnsupportedError(
    `${system} has no wildcards, and would take «${pattern}» for a route of that name. List the routes, with a «name»: { route: ['order.created', 'order.paid'], name: 'orders' }`,
  );
}

function checkConcurrency(
  concurrency: Concurrency,
  surroundings: ConcurrencySurroundings,
  partitionsOption = 'partitions',
): void {
  if (typeof concurrency !== 'object' || concurrency === null || typeof concurrency.schedule !== 'function')
    throw new InvalidOptionError('concurrency', concurrency, 'bounded(n), unbounded() or partitioned({ … })');
  if (surroundings.isPartitioned && concurrency.keyOf === undefined)
    throw new InvalidOptionError(
      partitionsOption,
      'given',
      'nothing without a key to split by: add «concurrency: partitioned({ key })», or leave out the partitions',
    );
  concurrency.check?.(surroundings);
}

function routingOf({ handles, routeBy }: SubscribeRequest): Routing | undefined {
  if (handles === undefined && routeBy === undefined) return undefined;
  if (routeBy !== undefined && typeof routeBy !== 'function')
    throw new InvalidOptionError('routeBy', routeBy, 'a function');
  const patterns = typeof handles === 'string' ? [handles] : handles;
  if (patterns !== undefined && (!Array.isArray(patterns) || patterns.length === 0))
    throw new InvalidOptionError('handles', handles, 'a route or pattern, or an array of at least one');
  return { handles: patterns?.map((one) => checkPattern('handles', one)), routeBy };
}

function deadLetterOf(
  dlq: NonNullable<SubscribeRequest['dlq']>,
  group: string,
  name: string,
): NonNullable<Topology['deadLetter']> {
  if (dlq !== true && (typeof dlq !== 'object' || dlq === null))
    throw new InvalidOptionError('dlq', dlq, 'true, false, or { queue?, route? }');
  if (dlq !== true) knownKeys('dlq', dlq, ['queue', 'route']);
  if (dlq !== true && dlq.route !== undefined) checkRoute('dlq.route', dlq.route);
  const { queue = `${group}:${name}:dlq`, route = `${name}:dlq` } = dlq === true ? {} : dlq;
  return {
    queue: checkShortText('dlq.queue', queue),
    route: checkShortText('dlq.route', `${group}:${checkShortText('dlq.route', route)}`),
  };
}

export const OPTION_NAMES: readonly (keyof SubscribeRequest)[] = [
  'route',
  'dlq',
  'prefetch',
  'name',
  'group',
  'topic',
  'queue',
  'bind',
  'adopt',
  'exclusive',
  'retry',
  'concurrency',
  'limit',
  'timeout',
  'delay',
  'killSwitch',
  'idempotent',
  'handles',
  'routeBy',
  'serializer',
  'middleware',
  'answers',
  'connection',
  'summary',
  'description',
  'tags',
  'deprecated',
  ...TRANSPORT_NAMES,
];
