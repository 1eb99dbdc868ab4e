import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { DeliveryLostError, IdempotencyStoreError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import { booleanResult, textResult } from '../errors/result-checks.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import { newMessageId } from '../message/message-id.js';
import { nameOf } from '../message/message-name.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { Handler } from '../pipeline/middleware.js';
import { Outcome } from '../pipeline/outcome.js';
import { resultOf } from '../pipeline/result.js';
import { ClaimKeeper, type HeldClaim } from './claim-keeper.js';
import type { Claim, IdempotencyStore } from './idempotency-store.js';
import type { IdempotentDefinition } from './idempotent-options.js';

/** What a subscription has recognised since its start. */
export interface IdempotencyCounts {
  /** Handled before: acked without a handler call. */
  readonly duplicates: number;
  /** Being handled elsewhere: put off. One duplicate may count several times. */
  readonly deferred: number;
  /** Handled without a check, because they have no id. */
  readonly withoutKey: number;
  /** Calls of the store that failed. */
  readonly storeErrors: number;
}

export interface IdempotentHandlingEnvironment {
  readonly store: IdempotencyStore;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly log: Log;
}

/** While the store does not answer, messages are put off by so much. */
const STORE_DOWN_MS = 5_000;
/** A duplicate of a running message is put off until the lease ends, within these bounds. */
const SHORTEST_MS = 100;
const LONGEST_MS = 5_000;
/** Pauses before a failed `complete` is tried again: its handler has run, so nothing else can be done with the message. */
const COMPLETE_AGAIN_MS = [100, 1_000];

/** Around a handler: claimed before, done after, never done before the handler. */
export class IdempotentHandling {
  readonly counts: { -readonly [name in keyof IdempotencyCounts]: number } = {
    duplicates: 0,
    deferred: 0,
    withoutKey: 0,
    storeErrors: 0,
  };
  private readonly keeper: ClaimKeeper;

  constructor(
    private readonly queue: string,
    private readonly options: IdempotentDefinition,
    private readonly environment: IdempotentHandlingEnvironment,
  ) {
    const { store, clock } = environment;
    this.keeper = new ClaimKeeper(store, options.leaseMs, clock, (error) => this.failed('renew', error));
  }

  around(handler: Handler): Handler {
    return (context) => this.handle(context, handler);
  }

  private async handle(context: MessageContext, handler: Handler): Promise<unknown> {
    const own = textResult('«idempotent.key»', this.options.key(context));
    if (own === undefined) {
      if (this.counts.withoutKey++ === 0)
        this.environment.log.warn(
          `«${this.queue}»: a message without an id, or for which «idempotent.key» gave none, came; such messages are handled without a check for duplicates. Its publisher can set one, or «idempotent.key» can take another`,
        );
      return handler(context);
    }
    const key = `${this.queue}.${own}`;
    const token = newMessageId(this.environment.clock.now());
    let claim: Claim;
    try {
      claim = await this.environment.store.claim(key, token, this.options.leaseMs);
    } catch (error) {
      this.failed('claim', error);
      return Outcome.defer(STORE_DOWN_MS);
    }
    if (claim.state === 'acquired') return this.holding(context, { key, token, lost: () => lost(context) }, handler);
    return this.duplicate(context, key, claim);
  }

  private async holding(context: MessageContext, claim: HeldClaim, handler: Handler): Promise<unknown> {
    this.keeper.add(claim);
    try {
      const { isDone } = this.options;
      if (isDone && booleanResult('«idempotent.isDone»', await isDone(context))) {
        await this.complete(claim);
        return this.duplicate(context, claim.key, { state: 'done' });
      }
      const result = await resultOf(await handler(context));
      if (Outcome.is(result) && result.type !== 'ack') await this.release(claim);
      else await this.complete(claim);
      return result;
    } catch (error) {
      await this.release(claim);
      throw error;
    } finally {
      this.keeper.delete(claim);
    }
  }

  private duplicate({ id, queue }: MessageContext, key: string, claim: Exclude<Claim, { state: 'acquired' }>): Outcome {
    const { events } = this.environment;
    if (events.has('duplicate')) events.emit('duplicate', { id, queue, key, state: claim.state });
    if (claim.state === 'done') {
      this.counts.duplicates++;
      return Outcome.ack;
    }
    this.counts.deferred++;
    return Outcome.defer(Math.min(LONGEST_MS, Math.max(SHORTEST_MS, claim.leaseLeftMs)));
  }

  /** The handler has run, so its message is acked in any case; what is not recorded could only be handled once more. */
  private async complete({ key, token }: HeldClaim): Promise<void> {
    const { store, clock, log } = this.environment;
    for (let failures = 0; ; failures++) {
      try {
        if (!(await store.complete(key, token, this.options.windowMs)))
          log.warn(`«${this.queue}»: the lease of «${key}» was over before its handler was; it may be handled twice`);
        return;
      } catch (error) {
        this.failed('complete', error);
        if (failures === COMPLETE_AGAIN_MS.length) {
          log.error(`«${this.queue}»: «${key}» was handled, but is not recorded: a duplicate would be handled again`);
          return;
        }
      }
      await sleep(clock, COMPLETE_AGAIN_MS[failures]);
    }
  }

  /** What cannot be released is free when its lease ends. */
  private async release({ key, token }: HeldClaim): Promise<void> {
    try {
      await this.environment.store.release(key, token);
    } catch (error) {
      this.failed('release', error);
    }
  }

  private failed(operation: string, thrown: unknown): void {
    const cause = thrownValue(thrown);
    const { events, log } = this.environment;
    this.counts.storeErrors++;
    log.warn(`«${this.queue}»: the idempotency store failed (${operation}): ${errorMessage(cause)}`);
    if (!events.has('store-error')) return;
    const error =
      cause instanceof IdempotencyStoreError ? cause : new IdempotencyStoreError(errorMessage(cause), { cause });
    events.emit('store-error', { operation: `idempotency ${operation}`, error });
  }
}

function lost(context: MessageContext): void {
  context.abort(new DeliveryLostError(`The lease of ${nameOf(context.delivery.message)} is over: another handles it`));
}
