import type { Publisher } from '../publisher/publisher.js';
import type { RouteLike } from '../publisher/publish-options.js';
import { checkMethods } from './around-calls.js';
import { toldPublish } from './told-publish.js';

/** What the event bus of @nestjs/cqrs publishes by. */
export interface CqrsPublisherLike {
  publish(event: never, dispatcher?: never, context?: never): unknown;
}

type EventClass<Event = unknown> = new (...args: never[]) => Event;

/**
 * For `eventBus.publisher` of @nestjs/cqrs: events of these classes are published as messages, on their routes, instead of
 * in this process; all others go to `others`, which is the publisher that the bus had. With `local` they go there, too. What
 * `eventBus.publish` returns is the promise of the receipt; a failure is logged as well. @throws InvalidOptionError
 */
export function eventsAsMessages(
  publisher: Pick<Publisher, 'publish'>,
  others: CqrsPublisherLike,
  routes: readonly (readonly [EventClass, RouteLike])[],
  { local = false }: { readonly local?: boolean } = {},
): { publish(event: object, dispatcher?: unknown, context?: unknown): unknown } {
  checkMethods('eventsAsMessages', publisher, ['publish'], 'the Publisher');
  checkMethods('eventsAsMessages', others, ['publish'], '`eventBus.publisher`, as it was before');
  const byClass = new Map<unknown, RouteLike>(routes);
  const inProcess: { publish(event: object, dispatcher?: unknown, context?: unknown): unknown } = others;
  return {
    publish(event, dispatcher, context) {
      const route = byClass.get(event.constructor);
      if (route === undefined) return inProcess.publish(event, dispatcher, context);
      if (local) inProcess.publish(event, dispatcher, context);
      return toldPublish(publisher, route, event);
    },
  };
}

/**
 * A handler that gives messages as events of a class to the event bus of @nestjs/cqrs, in this process only. The bus does
 * not tell what its handlers come to: the message is done when they have been called. What has to be tried again is a
 * command.
 */
export function toEventBus<Event extends object>(
  bus: { readonly subject$: { next(event: never): void } },
  type: EventClass<Event>,
): (payload: unknown) => void {
  return (payload) => bus.subject$.next(instanceOf(type, payload) as never);
}

/** A handler that executes messages as commands of a class; one that fails is retried, as any handler. */
export function toCommandBus<Command extends object>(
  bus: { execute(command: never): Promise<unknown> },
  type: EventClass<Command>,
): (payload: unknown) => Promise<unknown> {
  return (payload) => bus.execute(instanceOf(type, payload) as never);
}

/** As its class, without calling a constructor whose parameters nobody knows. */
function instanceOf<T extends object>(type: EventClass<T>, payload: unknown): T {
  return Object.assign(Object.create(type.prototype as object) as T, payload);
}
