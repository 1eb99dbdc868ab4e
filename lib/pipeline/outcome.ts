import { brand } from '../errors/brand.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { DeadLetterReason } from './dead-letter-reason.js';

/**
 * What is to become of a message: the value every handler call ends in. A handler that returns anything else is done
 * (ack); an exception filter or middleware may return an Outcome to decide by itself.
 */
export class Outcome {
  /** What the message failed with. `instanceof` is safe on it. */
  readonly error: unknown;

  private constructor(
    readonly type: 'ack' | 'retry' | 'defer' | 'dead-letter' | 'discard' | 'give-back' | 'suspect',
    readonly delayMs: number,
    readonly reason: DeadLetterReason | undefined,
    error: unknown,
  ) {
    this.error = error === undefined ? undefined : thrownValue(error);
  }

  /** Whether it is one, whatever it is: a value of application code can throw when it is looked at. @internal */
  static is(value: unknown): value is Outcome {
    try {
      return value instanceof Outcome;
    } catch {
      return false;
    }
  }

  /** Done. */
  static readonly ack = new Outcome('ack', 0, undefined, undefined);

  /** Call the handler again in `delayMs` milliseconds; it spends an attempt. @throws InvalidOptionError */
  static retry(delayMs: number, error?: unknown): Outcome {
    checkDelay('Outcome.retry(delayMs)', delayMs);
    return new Outcome('retry', delayMs, undefined, error);
  }

  /** Call the handler in `delayMs` milliseconds; no attempt is spent. @throws InvalidOptionError */
  static defer(delayMs: number): Outcome {
    checkDelay('Outcome.defer(delayMs)', delayMs);
    return new Outcome('defer', delayMs, undefined, undefined);
  }

  /** Give it up: keep it in the dead-letter queue. */
  static deadLetter(reason: DeadLetterReason, error?: unknown): Outcome {
    return new Outcome('dead-letter', 0, reason, error);
  }

  /** Drop it, with a warning and an event. */
  static discard(error?: unknown): Outcome {
    return new Outcome('discard', 0, undefined, error);
  }

  /** Back to the broker, because nobody is there to handle it any more; no attempt is spent. @internal */
  static readonly giveBack = new Outcome('give-back', 0, undefined, undefined);

  /** To be called alone, in `delayMs` milliseconds: earlier deliveries of it ended without a result. @internal */
  static suspect(delayMs: number): Outcome {
    return new Outcome('suspect', delayMs, undefined, undefined);
  }
}

/** Without a number it would be at once, and go on for ever. */
function checkDelay(option: string, delayMs: unknown): void {
  if (typeof delayMs !== 'number' || Number.isNaN(delayMs))
    throw new InvalidOptionError(option, delayMs, 'a number of milliseconds');
}

brand({ Outcome });
