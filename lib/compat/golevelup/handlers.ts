import type { DiscoveryService, ExternalContextCreator, MetadataScanner } from '@nestjs/core';
import { SubscriptionConflictError } from '../../errors/configuration-errors.js';
import { isSingleton } from '../../messaging.enhancers.js';
import { type CompatSettings, DEFAULT_NAME } from './config.js';
import { HANDLER_ARGUMENTS, PARAMETERS, RABBIT_CONTEXT_TYPE_KEY, rabbitHandlerOf } from './decorators.js';
import type { RabbitHandlerConfig } from './interfaces.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];
/** Of payload, message and headers, or lists of them. */
export type Call = (...args: unknown[]) => Promise<unknown>;

/** One registration of a decorated method. */
export interface CompatHandler {
  /** `Orders.onCreated`. */
  readonly place: string;
  readonly config: RabbitHandlerConfig;
  readonly call: Call;
}

const DEFAULT_BATCH = { size: 10, timeout: 200 };

/** What finds and calls them. */
export interface HandlerTools {
  readonly discovery: DiscoveryService;
  readonly scanner: MetadataScanner;
  readonly contexts: ExternalContextCreator;
}

/** Every decorated method of the application that is for this connection. @throws SubscriptionConflictError */
export function handlersOf(settings: CompatSettings, tools: HandlerTools): CompatHandler[] {
  const { config, report } = settings;
  const found: CompatHandler[] = [];
  /** Classes whose handlers are taken. */
  const taken = new Map<object, unknown>();
  const add = (wrapper: InstanceWrapper, isTaken: boolean, isProvider: boolean): void => {
    const prototype = prototypeOf(wrapper);
    if (!prototype || (taken.has(prototype) && taken.get(prototype) === wrapper.instance)) return;
    const methods = tools.scanner.getAllMethodNames(prototype).flatMap((name) => {
      const method = (prototype as Record<string, unknown>)[name];
      const handler = typeof method === 'function' ? rabbitHandlerOf(method) : undefined;
      return handler ? [{ name, method: method as Call, handler }] : [];
    });
    // A class that is a provider and a controller, as golevelup's documents advise, or that several modules provide.
    const isAgain = taken.has(prototype);
    for (const { name, method, handler } of methods) {
      const place = `${String(wrapper.metatype?.name || wrapper.name)}.${name}`;
      report.knows(place, method);
      if (handler.connection !== undefined && handler.connection !== (config.name ?? DEFAULT_NAME)) continue;
      if (isAgain) {
        if (isProvider)
          report.differs(
            place,
            'several instances',
            'the first handles, where with theirs each consumes: provide the class in one module, and export it',
          );
        continue;
      }
      if (!isTaken) {
        report.differs(
          place,
          'enableControllerDiscovery',
          'not registered, as with theirs: without it handlers of controllers are not',
        );
        continue;
      }
      if (!isSingleton(wrapper))
        throw new SubscriptionConflictError(
          `${place}: its class is made for each request, and theirs would call it without what is injected. Give it the default scope, or handle the message with @Subscribe`,
        );
      const call = contextOf(wrapper.instance as object, method, name, tools);
      for (const [at, merged] of configsOf(place, handler, settings).entries()) {
        const own = at === 0 ? place : `${place}#${at + 1}`;
        report.knows(own, method);
        found.push({ place: own, config: merged, call });
      }
    }
    if (methods.length > 0 && isTaken && !isAgain) taken.set(prototype, wrapper.instance);
  };
  for (const wrapper of tools.discovery.getProviders()) add(wrapper, true, true);
  for (const wrapper of tools.discovery.getControllers())
    add(wrapper, config.enableControllerDiscovery === true, false);
  return found;
}

/** With guards, interceptors, pipes and filters, as theirs: the context is `rmq`, and a filter's value a result. */
function contextOf(instance: object, method: Call, name: string, { contexts }: HandlerTools): Call {
  return contexts.create(
    instance,
    method,
    name,
    HANDLER_ARGUMENTS,
    PARAMETERS,
    undefined,
    undefined,
    undefined,
    RABBIT_CONTEXT_TYPE_KEY,
  ) as Call;
}

/** What the decorator says, under what the module says of its name. */
function configsOf(
  place: string,
  handler: RabbitHandlerConfig,
  { config, report }: CompatSettings,
): RabbitHandlerConfig[] {
  const name = handler.name || config.defaultHandler;
  if (!name) return [handler];
  const handlers = config.handlers ?? {};
  if (!Object.hasOwn(handlers, name)) {
    report.differs(
      place,
      `name «${name}»`,
      'not registered, as with theirs: «handlers» of the module has none of that name',
    );
    return [];
  }
  return [handlers[name]].flat().map((one) => ({ ...handler, ...one }));
}

function prototypeOf(wrapper: InstanceWrapper): object | undefined {
  const { instance, metatype } = wrapper as { instance: unknown; metatype: unknown };
  if (isSingleton(wrapper))
    return typeof instance === 'object' && instance !== null ? (Object.getPrototypeOf(instance) as object) : undefined;
  return typeof metatype === 'function' ? (metatype.prototype as object | undefined) : undefined;
}

/** With theirs too small a batch is one of the default size. */
export function batchOf({ batchOptions }: CompatHandler['config']): {
  readonly size: number;
  readonly timeout: number;
} {
  const { size, timeout } = { ...DEFAULT_BATCH, ...batchOptions };
  return { size: size < 2 ? DEFAULT_BATCH.size : size, timeout: timeout < 1 ? DEFAULT_BATCH.timeout : timeout };
}
