import { HttpException, Injectable, Scope } from '@nestjs/common';
import {
  ApplicationConfig,
  ContextIdFactory,
  type DiscoveryService,
  ExternalContextCreator,
  ModuleRef,
} from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { HANDLER_ARGUMENTS, PAYLOAD_TYPE } from './consumer/subscription/subscribe.decorator.js';
import { SubscriptionConflictError } from './errors/configuration-errors.js';
import { RefusedError } from './errors/handling-errors.js';
import { errorMessage } from './errors/redact.js';
import { thrownValue } from './errors/thrown-value.js';
import { BatchContext } from './pipeline/batch-context.js';
import { MessageContext } from './pipeline/message-context.js';
import { Outcome } from './pipeline/outcome.js';
import { resultOf } from './pipeline/result.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];
type Context = MessageContext | BatchContext;
type Method = (this: unknown, payload: unknown, context: Context) => unknown;
type Filters = { invokeCustomFilters(error: unknown, host: ExecutionContextHost): unknown };

/** What `context.getType()` says in guards, interceptors, pipes and filters. */
export const MESSAGING_CONTEXT = 'messaging';

const ENHANCER_METADATA = ['__guards__', '__pipes__', '__interceptors__', '__exceptionFilters__'];

/**
 * Puts Nest's guards, pipes, interceptors and exception filters around a handler, in a real `ExecutionContext` whose
 * arguments are `[payload, context]`. A method without any is called directly.
 */
@Injectable()
export class MessagingEnhancers {
  private readonly own: ExternalContextCreator;
  private readonly global: ExternalContextCreator;

  constructor(
    creator: ExternalContextCreator,
    private readonly moduleRef: ModuleRef,
  ) {
    this.global = forMessages(creator, undefined);
    // The same, but with no application-global enhancers.
    this.own = forMessages(creator, new ApplicationConfig());
  }

  handlerOf(wrapper: InstanceWrapper, method: string, globalEnhancers: boolean): (context: Context) => unknown {
    const creator = globalEnhancers ? this.global : this.own;
    if (!isSingleton(wrapper)) return this.scopedHandler(wrapper, method, creator);
    const instance = wrapper.instance as Record<string, Method> & object;
    const callback = instance[method];
    checkEnhancers(wrapper, method, callback);
    if (!globalEnhancers && !hasEnhancers(instance.constructor, callback)) {
      return (context) => callback.call(instance, context.payload, context);
    }
    const enhanced = creator.create(
      instance,
      callback as never,
      method,
      HANDLER_ARGUMENTS,
      PARAMETERS,
      undefined,
      undefined,
      undefined,
      MESSAGING_CONTEXT,
    );
    return (context) => enhanced(context.payload, context);
  }

  /** A transient or request-scoped provider (or one with a request-scoped enhancer): a new instance for every call. */
  private scopedHandler(
    wrapper: InstanceWrapper,
    method: string,
    creator: ExternalContextCreator,
  ): (context: Context) => Promise<unknown> {
    return async (context) => {
      const contextId = ContextIdFactory.create();
      this.moduleRef.registerRequestByContextId(context, contextId);
      const instance = await this.moduleRef.resolve<Record<string, Method>>(wrapper.token as never, contextId, {
        strict: false,
      });
      const enhanced = creator.create(
        instance,
        instance[method] as never,
        method,
        HANDLER_ARGUMENTS,
        PARAMETERS,
        contextId,
        wrapper.id,
        undefined,
        MESSAGING_CONTEXT,
      );
      return enhanced(context.payload, context) as unknown;
    };
  }
}

/**
 * Nest makes the enhancers that are named by their class only for providers that are given by their class; for others it
 * would leave them out in silence, guards included.
 * @throws SubscriptionConflictError
 */
function checkEnhancers(wrapper: InstanceWrapper, method: string, callback: Method): void {
  const type = (wrapper.instance as object).constructor;
  for (const key of ENHANCER_METADATA) {
    for (const target of [type, callback]) {
      const enhancers = (Reflect.getMetadata(key, target) ?? []) as unknown[];
      const missing = enhancers.find(
        (one) => typeof one === 'function' && !wrapper.host?.injectables.has(one as never),
      );
      if (missing)
        throw new SubscriptionConflictError(
          `${type.name}.${method}: Nest does not make «${(missing as { name: string }).name}» for a provider that is given by useFactory or useValue. Provide ${type.name} by its class, or pass an instance to the decorator`,
        );
    }
  }
}

/** There is one instance, made by the time subscriptions start. */
export function isSingleton(wrapper: InstanceWrapper): boolean {
  return wrapper.isDependencyTreeStatic() && wrapper.scope !== Scope.TRANSIENT;
}

const PARAMETERS = {
  exchangeKeyForValue: (type: number, _data: unknown, args: unknown[]): unknown =>
    type === PAYLOAD_TYPE ? args[0] : args[1],
};

function hasEnhancers(type: object, callback: Method): boolean {
  return ENHANCER_METADATA.some((key) => Reflect.hasMetadata(key, callback) || Reflect.hasMetadata(key, type));
}

/** Members of Nest's creator that are not in its types, the same in Nest 11 and 12. */
interface CreatorInternals {
  container: object;
  externalErrorProxy: { createProxy(target: Method, filters: Filters): (...args: unknown[]) => Promise<unknown> };
  createGuardsFn: (this: unknown, ...args: unknown[]) => ((args: unknown[]) => Promise<void>) | null;
  createPipesFn: (
    this: unknown,
    ...args: unknown[]
  ) => ((args: unknown[], ...params: unknown[]) => Promise<void>) | null;
  transformToResult: (result: unknown) => Promise<unknown>;
  getParamValue: (this: unknown, value: unknown, metadata: unknown, pipes: unknown) => Promise<unknown>;
}

/**
 * A creator of our own, changed in four points: guards and pipes that refuse a message make it unrecoverable, pipes see
 * the payload only, an empty Observable is a result like any other, and an exception filter decides only by returning an
 * Outcome: what it does not decide is retried.
 */
function forMessages(template: ExternalContextCreator, config: ApplicationConfig | undefined): ExternalContextCreator {
  const { container } = template as unknown as CreatorInternals;
  const scope = config ? (Object.create(container, { applicationConfig: { value: config } }) as object) : container;
  const creator = ExternalContextCreator.fromContainer(scope as never);
  const internals = creator as unknown as CreatorInternals;
  const refusals = new WeakSet<object>();
  const { createGuardsFn, createPipesFn, getParamValue } = internals;
  internals.createGuardsFn = (...args) => refusing(createGuardsFn.apply(creator, args), refusals, isClientError);
  internals.createPipesFn = (...args) =>
    refusing(createPipesFn.apply(creator, args), refusals, (error) => !isServerError(error));
  internals.getParamValue = async (value, metadata, pipes) =>
    value instanceof MessageContext || value instanceof BatchContext
      ? value
      : getParamValue.call(creator, value, metadata, pipes);
  internals.transformToResult = async (result) => resultOf(result);
  internals.externalErrorProxy = {
    createProxy:
      (target, filters) =>
      async (...args) => {
        try {
          return await (target as (...args: unknown[]) => unknown)(...args);
        } catch (error) {
          return decide(error, await filtered(filters, thrownValue(error), args), refusals);
        }
      },
  };
  return creator;
}

/** Wraps a guards or pipes function so that the errors that mean «refused» are remembered as such. */
function refusing<F extends ((...args: never[]) => Promise<void>) | null>(
  run: F,
  refusals: WeakSet<object>,
  isRefusal: (error: object) => boolean,
): F {
  if (!run) return run;
  return (async (...args: never[]) => {
    try {
      await run(...args);
    } catch (error) {
      const value = thrownValue(error);
      if (typeof value === 'object' && value !== null && value === error && isRefusal(value)) refusals.add(value);
      throw error;
    }
  }) as F;
}

/** What the filters that match the error say, or the error that one of them throws instead. */
async function filtered(filters: Filters, error: unknown, args: unknown[]): Promise<unknown> {
  const host = new ExecutionContextHost(args);
  host.setType(MESSAGING_CONTEXT);
  return filters.invokeCustomFilters(error, host);
}

function decide(error: unknown, decision: unknown, refusals: WeakSet<object>): Outcome {
  if (Outcome.is(decision)) return decision;
  if (typeof error === 'object' && error !== null && refusals.has(error))
    throw new RefusedError(errorMessage(error), { cause: error });
  throw error;
}

/** A guard that says no answers like an HTTP client error; anything else (a lost database) may pass. */
function isClientError(error: object): boolean {
  return error instanceof HttpException && error.getStatus() < 500;
}

function isServerError(error: object): boolean {
  return error instanceof HttpException && error.getStatus() >= 500;
}
