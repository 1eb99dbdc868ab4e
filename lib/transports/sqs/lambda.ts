import { UnsupportedError } from '../../errors/configuration-errors.js';
import { integerBetween } from '../../errors/option-checks.js';
import type { SqsRecord } from './events.js';
import type { SqsNative } from './transport.js';

/** What Lambda calls a function with, for messages of queues. */
export interface SqsEvent {
  readonly Records: readonly SqsRecord[];
}

/** What Lambda says of a call, as far as it is looked at. */
export interface LambdaContext {
  getRemainingTimeInMillis?(): number;
}

/** The messages that were not handled, as Lambda reads them with `ReportBatchItemFailures`. */
export interface SqsBatchResponse {
  readonly batchItemFailures: { readonly itemIdentifier: string }[];
}

export interface SqsHandlerOptions {
  /** The name of the connection, where it has one. */
  readonly connection?: string;
  /** Milliseconds before the end of a call in which what is still being handled is reported as not handled. Default 1,000. */
  readonly deadlineMargin?: number;
}

/** An application of Nest, as far as it is asked. */
interface Application {
  get(token: symbol, options: { readonly strict: false }): unknown;
}

/**
 * A handler for Lambda with an SQS trigger: the same `@Subscribe` handlers, with partial batch responses. The trigger needs
 * `ReportBatchItemFailures`, the transport `lambda: true`.
 *
 * @param app the application, or its promise; it is awaited once, with the first event
 * @throws InvalidOptionError
 * @example
 * export const handler = createSqsHandler(NestFactory.createApplicationContext(AppModule))
 */
export function createSqsHandler(
  app: Application | Promise<Application>,
  { connection, deadlineMargin = 1_000 }: SqsHandlerOptions = {},
): (event: SqsEvent, context?: LambdaContext) => Promise<SqsBatchResponse> {
  const marginMs = integerBetween('deadlineMargin', deadlineMargin, 0, 600_000);
  const token = Symbol.for(`nestjs-messaging:Messaging${connection === undefined ? '' : `:${connection}`}`);
  return async ({ Records }, context) => {
    const messaging = (await app).get(token, { strict: false }) as { native(): Partial<SqsNative> };
    const { handle } = messaging.native();
    if (!handle)
      throw new UnsupportedError('createSqsHandler needs a connection whose transport is `sqs({ lambda: true })`');
    const remainingMs = context?.getRemainingTimeInMillis?.();
    const answers = handle(Records, remainingMs === undefined ? undefined : Math.max(0, remainingMs - marginMs));
    const isHandled = await answers;
    const failed = Records.filter((_, at) => !isHandled[at]);
    return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
}
