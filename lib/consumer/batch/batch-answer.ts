import { MissingOutcomeError } from '../../errors/handling-errors.js';
import { typeOfResult } from '../../errors/result-checks.js';
import { thrownValue } from '../../errors/thrown-value.js';
import { Outcome } from '../../pipeline/outcome.js';

/** What a batch handler said of its entries, one by one. */
export interface BatchAnswer {
  /** What the handler decided; undefined: the entry failed. */
  outcomeAt(at: number): Outcome | undefined;
  /** How many entries the answer speaks of, where it does so one by one. */
  readonly listed?: number;
  /** What the entry failed with. */
  errorAt(at: number): unknown;
}

/**
 * The answer in what a handler returned. Only an array speaks of single entries: whatever else is returned, all are done.
 * An array that cannot be read says nothing of any: all failed.
 */
export function returned(result: unknown, size: number): BatchAnswer {
  if (isArray(result)) {
    try {
      const { length } = result;
      const list = Array.from({ length: Math.min(length, size) }, (_, at) => thrownValue(result[at]));
      return new Listed(list, length, size);
    } catch (error) {
      return thrown(error);
    }
  }
  return new DecidedAnswer(Outcome.is(result) ? result : Outcome.ack);
}

/** `Array.isArray` throws on a revoked Proxy. */
function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** The answer of a handler that threw: all failed. */
export function thrown(error: unknown): BatchAnswer {
  return new Thrown(thrownValue(error));
}

class DecidedAnswer implements BatchAnswer {
  constructor(private readonly outcome: Outcome) {}

  outcomeAt(): Outcome {
    return this.outcome;
  }

  errorAt(): unknown {
    return undefined;
  }
}

class Thrown implements BatchAnswer {
  constructor(private readonly error: unknown) {}

  outcomeAt(): undefined {
    return undefined;
  }

  errorAt(): unknown {
    return this.error;
  }
}

class Listed implements BatchAnswer {
  constructor(
    private readonly list: readonly unknown[],
    readonly listed: number,
    private readonly size: number,
  ) {}

  outcomeAt(at: number): Outcome | undefined {
    const said = this.list[at];
    return said instanceof Outcome ? said : undefined;
  }

  errorAt(at: number): unknown {
    const said = this.list[at];
    if (said instanceof Error) return said;
    const what = said === undefined || said === null ? 'nothing' : `${typeOfResult(said)}, which is no Outcome,`;
    return new MissingOutcomeError(
      `The batch handler returned an array of ${this.listed} for ${this.size} messages, with ${what} for this one (number ${at + 1}). Return nothing where all are done`,
    );
  }
}
