import type { CancelTimer, Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import type { Coordination } from '../coordination/coordination.js';
import { type Change, CLOCKS_DIFFER_MS, type CoordinationStore } from '../coordination/coordination-store.js';
import { StoreOutage } from '../coordination/store-outage.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { MessagingError } from '../errors/messaging-error.js';
import { checkShortText, knownKeys, numberBetween } from '../errors/option-checks.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import { newMessageId } from '../message/message-id.js';
import { DuplicateReceipt, type Receipt } from './receipt.js';

/** What of several publishes is sent once, by all processes of the service. */
export interface UniqueOptions {
  /** Publishes with one key are one; 1…255 bytes. */
  readonly key: string;
  /** Milliseconds from the first one in which another is not sent; 1…2,592,000,000 (30 days). */
  readonly for: number;
}

export interface UniquePublishingEnvironment {
  readonly service: string;
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: MessagingEvents;
}

/** What is known of a key: the message, and whether it is sent. */
interface UniqueState {
  readonly id: string;
  /** Of the process that has it, until when: it publishes, or the message waits in its retry queue. */
  readonly token?: string;
  readonly until?: number;
  /** Where it waits. */
  readonly queued?: Stored;
}

type Stored = NonNullable<Receipt['stored']>;

/** A key that this process has: it publishes, or the message waits in its retry queue. */
interface Held {
  readonly store: CoordinationStore;
  readonly key: string;
  readonly token: string;
  /** By this process's monotonic clock, where the message waits. */
  readonly endsAt?: number;
}

type Claim = { readonly id: string; readonly sent?: Receipt['outcome']; readonly waitMs?: number };

/** So long a process that does not renew its key is waited for, in milliseconds. */
const LEASE_MS = 30_000;
/** The same where the message is on its disk, for a process that comes after it will send it. */
const DISK_LEASE_MS = 600_000;
const LOOK_MS = 100;
const LONGEST_MS = 30 * 86_400_000;

/** Publishes once per key and time: the key is taken, the message sent, and that recorded. */
export class UniquePublishing {
  private readonly held = new Set<Held>();
  private cancelTimer: CancelTimer | undefined;
  private closed = false;
  private readonly outage: StoreOutage;

  constructor(private readonly environment: UniquePublishingEnvironment) {
    const failing = (reason: string): string => `What is published as unique may come twice: ${reason}`;
    this.outage = new StoreOutage({ ...environment, operation: 'unique', failing });
  }

  /**
   * Where the store does not answer the message is sent: twice rather than not at all.
   * @throws InvalidOptionError, and what `send` throws (as rejections)
   */
  async publish(
    options: UniqueOptions,
    ownId: string | undefined,
    send: (id: string) => Promise<Receipt>,
  ): Promise<Receipt> {
    const { key: name, forMs } = checked(options);
    const { service, coordination, clock } = this.environment;
    const store = coordination.store('publish({ unique })');
    const key = `unique:${service}:${name}`;
    const token = newMessageId(clock.now());
    const id = ownId ?? token;
    for (;;) {
      const claim = await this.asked(store, key, take(id, token));
      if (!claim) return send(id);
      if (claim.sent) return new DuplicateReceipt(claim.id, claim.sent);
      if (claim.waitMs === undefined) return this.sending(store, key, token, forMs, () => send(claim.id));
      await sleep(clock, Math.min(claim.waitMs, LOOK_MS));
    }
  }

  private async sending(
    store: CoordinationStore,
    key: string,
    token: string,
    forMs: number,
    send: () => Promise<Receipt>,
  ): Promise<Receipt> {
    const sending = this.hold({ store, key, token });
    try {
      const receipt = await send();
      if (receipt.outcome === 'confirmed') await this.asked(store, key, sent(receipt.id, token, forMs));
      else await this.waits(receipt, { store, key, token }, forMs);
      return receipt;
    } catch (error) {
      await this.asked(store, key, left(token, error, forMs));
      throw error;
    } finally {
      this.held.delete(sending);
    }
  }

  /** What waits in the retry queue of this process counts as sent for as long as the process lives, and its lease. */
  private async waits({ id, stored = 'memory', settled }: Receipt, own: Held, forMs: number): Promise<void> {
    const { store, key, token } = own;
    await this.asked(store, key, renewed(token, forMs, stored));
    const waiting = this.hold({ ...own, endsAt: this.environment.clock.monotonic() + forMs });
    void settled.then((settlement) => {
      this.held.delete(waiting);
      const isSent = settlement.outcome === 'confirmed';
      return this.asked(store, key, isSent ? sent(id, token, forMs) : left(token, settlement.error, forMs));
    });
  }

  /** What waits is not kept any longer than its lease. */
  close(): void {
    this.closed = true;
    this.cancelTimer?.();
  }

  private hold(held: Held): Held {
    this.held.add(held);
    this.arm();
    return held;
  }

  private arm(): void {
    if (this.closed) return;
    this.cancelTimer ??= this.environment.clock.after(LEASE_MS / 3, () => this.renew(), { background: true });
  }

  private renew(): void {
    this.cancelTimer = undefined;
    const now = this.environment.clock.monotonic();
    for (const one of this.held) {
      const { store, key, token, endsAt } = one;
      const keepMs = endsAt === undefined ? 2 * LEASE_MS : endsAt - now;
      if (keepMs <= 0) this.held.delete(one);
      else
        void this.asked(store, key, renewed(token, keepMs)).then((kept) => {
          if (kept === false) this.held.delete(one);
        });
    }
    if (this.held.size > 0) this.arm();
  }

  /** Undefined where nobody knows. */
  private async asked<T>(store: CoordinationStore, key: string, change: Change<T>): Promise<T | undefined> {
    try {
      const answer = await store.change(key, change);
      this.outage.over();
      return answer;
    } catch (error) {
      this.outage.failed(error);
      return undefined;
    }
  }
}

/** The key, if nobody has it. Who takes it over from a process that died has its id, for that may have sent it. */
function take(id: string, token: string): Change<Claim> {
  return (text, now) => {
    const state = read(text);
    if (state && state.token === undefined) return { result: { id: state.id, sent: 'confirmed' } };
    const left = (state?.until ?? 0) - now;
    if (state && left > 0 && left <= leaseOf(state.queued) + CLOCKS_DIFFER_MS)
      return { result: state.queued ? { id: state.id, sent: 'queued' } : { id: state.id, waitMs: left } };
    const own = { id: state?.id ?? id, token, until: now + LEASE_MS };
    return { result: { id: own.id }, state: JSON.stringify(own), keepMs: 2 * LEASE_MS };
  };
}

/** It is confirmed. What somebody else has taken over meanwhile is his. */
function sent(id: string, token: string, forMs: number): Change<boolean> {
  return (text) => {
    const state = read(text);
    if (state && state.token !== token) return { result: false };
    return { result: true, state: JSON.stringify({ id }), keepMs: forMs };
  };
}

/** The key is kept for another lease; `queued`: from now on its message waits there. False: somebody else has it. */
function renewed(token: string, keepMs: number, queued?: Stored): Change<boolean> {
  return (text, now) => {
    const state = read(text);
    if (state?.token !== token) return { result: false };
    const where = queued ?? state.queued;
    const own: UniqueState = { ...state, until: now + leaseOf(where), ...(where && { queued: where }) };
    return { result: true, state: JSON.stringify(own), keepMs };
  };
}

/** The key is for the next publish; so is the id where the broker may have the message all the same: a lost answer is no refusal. */
function left(token: string, error: unknown, forMs: number): Change<boolean> {
  const isKnown = error instanceof MessagingError && !error.retryable;
  return (text) => {
    const state = read(text);
    if (state?.token !== token) return { result: false };
    if (isKnown) return { result: true, state: null };
    // Nobody's: a renewal that is still under way does not take the key back.
    const own: UniqueState = { id: state.id, token: '', until: 0 };
    return { result: true, state: JSON.stringify(own), keepMs: Math.min(forMs, DISK_LEASE_MS) };
  };
}

function leaseOf(queued: Stored | undefined): number {
  return queued === undefined || queued === 'memory' ? LEASE_MS : DISK_LEASE_MS;
}

function read(text: string | undefined): UniqueState | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as UniqueState);
}

function checked(options: UniqueOptions): { readonly key: string; readonly forMs: number } {
  if (typeof options !== 'object' || options === null) throw new InvalidOptionError('unique', options, '{ key, for }');
  knownKeys('unique', options, ['key', 'for']);
  return {
    key: checkShortText('unique.key', options.key),
    forMs: numberBetween('unique.for', options.for, 1, LONGEST_MS),
  };
}
