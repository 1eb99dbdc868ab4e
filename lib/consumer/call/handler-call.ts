import { errorMessage } from '../../errors/redact.js';
import { thrownValue } from '../../errors/thrown-value.js';
import type { Log } from '../../events/log.js';
import { jsonSerializer, type Serializer } from '../../message/serializer.js';
import { decode } from '../../pipeline/decode.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import type { Handler } from '../../pipeline/middleware.js';
import { Outcome } from '../../pipeline/outcome.js';
import { resultOf, wholeResultOf } from '../../pipeline/result.js';
import type { ConsumerTelemetry, ProcessTrace } from '../../pipeline/telemetry.js';
import { isThenable } from '../../pipeline/thenable.js';
import type { Answering } from '../../request/answering.js';
import type { RetryPolicy } from '../../retry/retry-policy.js';
import type { Delivery } from '../../transport/delivery.js';

/** What a handler returns whose result is told in another way; no promise is needed then. */
export const LATER = Symbol('later');

/** One message a handler is called with. */
export interface Call {
  readonly delivery: Delivery;
  readonly attempt: number;
  readonly context: MessageContext;
}

export interface HandlerCallEnvironment {
  readonly serializer: Serializer;
  readonly log: Log;
}

/** Calls the handler and makes a value of its result, or of its error. */
export class HandlerCall<C extends Call> {
  constructor(
    private readonly handler: Handler,
    private readonly retry: RetryPolicy,
    private readonly environment: HandlerCallEnvironment,
    private readonly ended: (call: C, outcome: Outcome) => void,
    private readonly telemetry?: ConsumerTelemetry,
    /** Undefined: nobody is answered. */
    private readonly answering?: Answering,
  ) {}

  /**
   * The outcome; undefined when it comes later, through `ended`. A handler that is no async function costs no promise, an
   * async one only the callbacks on its own.
   */
  run(call: C): Outcome | undefined {
    const { delivery, context, attempt } = call;
    context.policy = this.retry;
    const trace = this.telemetry?.process(delivery, attempt);
    try {
      const { serializer } = this.environment;
      const decoded = decode(delivery.message, serializer);
      if (serializer === jsonSerializer) context.payload = decoded;
      else context.take(decoded);
      const result = trace ? trace.run(this.whole, context) : resultOf(this.handler(context));
      if (result === LATER) return undefined;
      if (!isThenable(result)) return this.concluded(call, trace, this.outcomeOr(result, attempt), result);
      this.await(call, trace, result instanceof Promise ? result : Promise.resolve(result));
      return undefined;
    } catch (error) {
      return this.concluded(call, trace, this.outcomeOf(call, error));
    }
  }

  /** Whoever asked is answered first; undefined: the outcome comes later. */
  private concluded(call: C, trace: ProcessTrace | undefined, outcome: Outcome, result?: unknown): Outcome | undefined {
    call.context.ended();
    const answered = this.answering?.answer(call.context, outcome, result);
    if (!answered) return told(trace, outcome);
    void answered.then((late) => this.ended(call, told(trace, late)));
    return undefined;
  }

  private await(call: C, trace: ProcessTrace | undefined, promise: Promise<unknown>): void {
    promise.then(
      (given) => {
        const late = resultOf(given);
        if (late !== given) this.await(call, trace, late as Promise<unknown>);
        else this.conclude(call, trace, this.outcomeOr(late, call.attempt), late);
      },
      (error: unknown) => this.conclude(call, trace, this.outcomeOf(call, error)),
    );
  }

  private conclude(call: C, trace: ProcessTrace | undefined, own: Outcome, result?: unknown): void {
    const outcome = this.concluded(call, trace, own, result);
    if (outcome) this.ended(call, outcome);
  }

  /** All of it belongs to the trace, also what only begins when an Observable is subscribed to. */
  private readonly whole: Handler = (context) => wholeResultOf(this.handler(context));

  /** What application code decided, within the attempts. */
  limit({ attempt }: C, outcome: Outcome): Outcome {
    return this.retry.limit(outcome, attempt);
  }

  private outcomeOr(result: unknown, attempt: number): Outcome {
    return Outcome.is(result) ? this.retry.limit(result, attempt) : Outcome.ack;
  }

  /** What a failure leads to. */
  outcomeOf({ delivery, attempt }: C, thrown: unknown): Outcome {
    const error = thrownValue(thrown);
    try {
      return this.retry.outcomeOf(error, attempt);
    } catch (policyError) {
      this.environment.log.error(
        `«${delivery.queue}»: the wait before the next call cannot be told, so the message goes to its dead letters: ${errorMessage(policyError)}`,
      );
      return Outcome.deadLetter('attempts-exhausted', error);
    }
  }
}

function told(trace: ProcessTrace | undefined, outcome: Outcome): Outcome {
  trace?.ended(outcome);
  return outcome;
}
