import { checkBoolean, knownKeys } from '../errors/option-checks.js';
import type { BatchContext } from '../pipeline/batch-context.js';
import { MessageContext } from '../pipeline/message-context.js';
import type { Middleware } from '../pipeline/middleware.js';
import { Outcome } from '../pipeline/outcome.js';
import { aroundCalls, checkMethods, describedCall } from './around-calls.js';

/** What is used of `@sentry/node`, `@sentry/nestjs` and their like. */
export interface SentryLike {
  withIsolationScope<T>(work: (scope: SentryScope) => T): T;
  startSpan<T>(options: object, work: () => T): T;
  captureException(error: unknown): unknown;
}

interface SentryScope {
  setContext(name: string, context: Record<string, unknown>): unknown;
  setTag(name: string, value: string): unknown;
  setFingerprint(fingerprint: string[]): unknown;
}

export interface SentryOptions {
  /** Report each call that fails, not only the one after which the message is given up. Default false. */
  readonly everyAttempt?: boolean;
}

/**
 * An isolation scope and a transaction `queue.process` for every call of a handler, and its error reported once, when its
 * message is given up: grouped by route and class of the error. @throws InvalidOptionError
 */
export function sentry(client: SentryLike, options: SentryOptions = {}): Middleware {
  checkMethods('sentry', client, ['withIsolationScope', 'startSpan', 'captureException'], 'the module @sentry/node');
  knownKeys('sentry', options, ['everyAttempt']);
  const everyAttempt = checkBoolean('sentry.everyAttempt', options.everyAttempt ?? false);
  return aroundCalls((context, next) =>
    client.withIsolationScope((scope) => {
      const name = context instanceof MessageContext ? context.route : context.queue;
      scope.setContext('message', describedCall(context));
      scope.setTag('messaging.queue', context.queue);
      const report = (error: unknown, isLast = givesUp(context, error)): void => {
        if (!everyAttempt && !isLast) return;
        scope.setFingerprint([name, error instanceof Error ? error.constructor.name : typeof error]);
        client.captureException(error);
      };
      const span = { name, op: 'queue.process', forceTransaction: true, attributes: attributesOf(context) };
      return client.startSpan(span, async () => {
        try {
          const result = await next();
          // What a handler gives up by itself is given up at its first attempt, whatever its error is.
          if (Outcome.is(result) && result.error !== undefined)
            report(result.error, result.type !== 'retry' || undefined);
          return result;
        } catch (error) {
          report(error);
          throw error;
        }
      });
    }),
  );
}

/** Of a batch, whether some of its messages are given up. */
function givesUp(context: MessageContext | BatchContext, error: unknown): boolean {
  return context instanceof MessageContext ? context.givesUp(error) : context.entries.some((one) => one.givesUp(error));
}

function attributesOf(context: MessageContext | BatchContext): Record<string, string | number> {
  const destination = { 'messaging.destination.name': context.queue };
  if (!(context instanceof MessageContext)) return { ...destination, 'messaging.batch.message_count': context.size };
  const { id, attempt, body } = context;
  return {
    ...destination,
    'messaging.message.id': id,
    'messaging.message.retry.count': attempt - 1,
    'messaging.message.body.size': body.length,
  };
}
