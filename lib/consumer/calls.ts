import type { IdempotencyCounts } from '../idempotency/idempotent-handling.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { Outcome } from '../pipeline/outcome.js';
import type { Answering } from '../request/answering.js';
import { Batches, type BatchesEnvironment } from './batch/batches.js';
import type { HandledSubscription } from './subscription/handled.js';
import { HandlerCall } from './call/handler-call.js';
import { handlerChain } from './call/handler-chain.js';
import type { Work } from './call/work.js';

export interface CallsEnvironment extends BatchesEnvironment {
  /** A call with one message runs on past its timeout. */
  readonly runOn: (running: Promise<unknown>, context: MessageContext) => void;
  /** Answers messages that ask for a reply. */
  readonly answering: Answering | undefined;
}

/** How a subscription calls its handler. */
export interface Calls {
  /** The outcome; undefined when it comes later, through `ended`. */
  run(work: Work): Outcome | undefined;
  /** Undefined: messages are handled one by one. */
  readonly batches: Batches | undefined;
  /** Undefined: the subscription does not look for duplicates. */
  readonly idempotency: IdempotencyCounts | undefined;
  /** What waits for its turn before its handler goes back. */
  stop(): void;
}

export function callsFor(handled: HandledSubscription, environment: CallsEnvironment): Calls {
  if ('batchHandler' in handled) {
    const batches = new Batches(handled, environment);
    return { run: (work) => batches.run(work), batches, idempotency: batches.idempotency?.counts, stop() {} };
  }
  const { definition, handler } = handled;
  const chain = handlerChain(definition, handler, environment, environment.runOn);
  const call = new HandlerCall<Work>(
    chain.handler,
    definition.retry,
    environment,
    environment.ended,
    environment.handling,
    environment.answering,
  );
  return {
    run: (work) => call.run(work),
    batches: undefined,
    idempotency: chain.idempotency?.counts,
    stop: () => chain.limit?.stop(),
  };
}
