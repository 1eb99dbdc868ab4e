import { checkPattern } from '../errors/option-checks.js';
import type { Messaging } from '../messaging.js';
import type { SubscriptionOptions } from '../consumer/subscription/subscription-options.js';
import { compilePattern, wordsOf } from '../transport/topic-pattern.js';
import { checkMethods } from './around-calls.js';
import { toldPublish } from './told-publish.js';

/** What is used of `EventEmitter2`, of @nestjs/event-emitter. */
export interface EventEmitterLike {
  onAny(listener: (event: string | string[], ...values: never[]) => void): unknown;
  offAny(listener: (event: string | string[], ...values: never[]) => void): unknown;
  emitAsync(event: string, ...values: unknown[]): Promise<unknown>;
}

export interface EventBridgeOptions {
  /** Events of this process that are published, on the route of their name: names and patterns. Default: none. */
  readonly out?: readonly string[];
  /** Routes whose messages are emitted here, by their name; what came in never goes out again. Default: none. */
  readonly in?: readonly string[];
  /** Options of the subscriptions of `in`; `{ exclusive: true }` for every process to get each. */
  readonly subscription?: SubscriptionOptions;
}

/**
 * Joins an event emitter to other processes. Resolves when the routes of `in` are subscribed to; the function ends both.
 * A message is done when all listeners are, and is retried when one fails. @throws InvalidOptionError and what `subscribe` throws
 */
export async function bridgeEvents(
  emitter: EventEmitterLike,
  messaging: Pick<Messaging, 'publisher' | 'subscribe'>,
  { out = [], in: routes = [], subscription = {} }: EventBridgeOptions,
): Promise<() => Promise<void>> {
  checkMethods('bridgeEvents', emitter, ['onAny', 'offAny', 'emitAsync'], 'the EventEmitter2 of @nestjs/event-emitter');
  const meant = out.map((pattern) => compilePattern(checkPattern('out', pattern)));
  let incoming = false;
  const listener = (event: string | string[], ...values: never[]): void => {
    // Listeners of all events are called first, before another event can be emitted.
    if (incoming) return void (incoming = false);
    const name = Array.isArray(event) ? event.join('.') : String(event);
    if (!meant.some((matches) => matches(wordsOf(name)))) return;
    toldPublish(messaging.publisher, name, values[0]).catch(() => undefined);
  };
  const started: { stop(): Promise<void> }[] = [];
  const end = async (): Promise<void> => {
    emitter.offAny(listener);
    await Promise.all(started.map((one) => one.stop()));
  };
  emitter.onAny(listener);
  try {
    for (const route of routes)
      started.push(
        await messaging.subscribe({ ...subscription, route }, async (payload, context) => {
          incoming = true;
          let emitted: Promise<unknown>;
          try {
            emitted = emitter.emitAsync(context.route, payload);
          } finally {
            incoming = false;
          }
          await emitted;
        }),
      );
  } catch (error) {
    await end();
    throw error;
  }
  return end;
}
