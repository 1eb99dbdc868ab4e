import type { CancelTimer, Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import type { Coordination } from '../coordination/coordination.js';
import type { Change, CoordinationStore } from '../coordination/coordination-store.js';
import { CoordinationStoreError } from '../errors/coordination-errors.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkShortText, knownKeys, numberBetween } from '../errors/option-checks.js';
import { errorMessage } from '../errors/redact.js';
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
  /** Of the process that has it, until when: it publishes, or the message waits in its memory. */
  readonly token?: string;
  readonly until?: number;
  /** It waits in a retry queue. */
  readonly queued?: true;
}

/** A message that waits in the memory of this process. */
interface Waiting {
  readonly store: CoordinationStore;
  readonly key: string;
  readonly id: string;
  readonly token: string;
  /** By this process's monotonic clock. */
  readonly endsAt: number;
}

type Claim = { readonly id: string; readonly sent?: Receipt['outcome']; readonly waitMs?: number };

/** So long a process that publishes is waited for, in milliseconds. */
const LEASE_MS = 30_000;
const LOOK_MS = 100;
const LONGEST_MS = 30 * 86_400_000;

/** Publishes once per key and time: the key is taken, the message sent, and that recorded. */
export class UniquePublishing {
  private readonly waiting = new Set<Waiting>();
  private cancelTimer: CancelTimer | undefined;
  private closed = false;
  private failing = false;

  constructor(private readonly environment: UniquePublishingEnvironment) {}

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
    let receipt: Receipt;
    try {
      receipt = await send();
    } catch (error) {
      await this.asked(store, key, free(token));
      throw error;
    }
    if (receipt.stored === 'memory') return this.keeping(receipt, store, key, token, forMs);
    await this.asked(store, key, sent(receipt, token, forMs));
    if (receipt.outcome === 'queued')
      void receipt.settled.then(({ outcome, id }) =>
        this.asked(store, key, settled(id, undefined, outcome === 'confirmed', forMs)),
      );
    return receipt;
  }

  /** What waits in the memory of this process counts as sent for as long as the process lives. */
  private async keeping(
    receipt: Receipt,
    store: CoordinationStore,
    key: string,
    token: string,
    forMs: number,
  ): Promise<Receipt> {
    const { id } = receipt;
    await this.asked(store, key, keep(id, token, forMs));
    const waiting = { store, key, id, token, endsAt: this.environment.clock.monotonic() + forMs };
    this.waiting.add(waiting);
    this.arm();
    void receipt.settled.then(({ outcome }) => {
      this.waiting.delete(waiting);
      return this.asked(store, key, settled(id, token, outcome === 'confirmed', forMs));
    });
    return receipt;
  }

  /** What waits is not kept any longer than a lease. */
  close(): void {
    this.closed = true;
    this.cancelTimer?.();
  }

  private arm(): void {
    if (this.closed) return;
    this.cancelTimer ??= this.environment.clock.after(LEASE_MS / 3, () => this.renew(), { background: true });
  }

  private renew(): void {
    this.cancelTimer = undefined;
    const now = this.environment.clock.monotonic();
    for (const one of this.waiting) {
      const { store, key, id, token, endsAt } = one;
      if (endsAt <= now) this.waiting.delete(one);
      else
        void this.asked(store, key, keep(id, token, endsAt - now)).then((kept) => {
          if (kept === false) this.waiting.delete(one);
        });
    }
    if (this.waiting.size > 0) this.arm();
  }

  /** Undefined where nobody knows. */
  private async asked<T>(store: CoordinationStore, key: string, change: Change<T>): Promise<T | undefined> {
    const { log, events } = this.environment;
    try {
      const answer = await store.change(key, change);
      this.failing = false;
      return answer;
    } catch (cause) {
      const error =
        cause instanceof CoordinationStoreError ? cause : new CoordinationStoreError(errorMessage(cause), { cause });
      if (!this.failing) log.warn(`What is published as unique may come twice: ${error.message}`);
      this.failing = true;
      if (events.has('store-error')) events.emit('store-error', { operation: 'unique', error });
      return undefined;
    }
  }
}

/** The key, if nobody has it. Who takes it over from a process that died has its id, for that may have sent it. */
function take(id: string, token: string): Change<Claim> {
  return (text, now) => {
    const state = read(text);
    if (state && state.token === undefined)
      return { result: { id: state.id, sent: state.queued ? 'queued' : 'confirmed' } };
    const left = (state?.until ?? 0) - now;
    if (state && left > 0 && left <= LEASE_MS)
      return { result: state.queued ? { id: state.id, sent: 'queued' } : { id: state.id, waitMs: left } };
    const own = { id: state?.id ?? id, token, until: now + LEASE_MS };
    return { result: { id: own.id }, state: JSON.stringify(own), keepMs: 2 * LEASE_MS };
  };
}

function sent({ id, outcome }: Receipt, token: string, forMs: number): Change<boolean> {
  return (text) => {
    const state = read(text);
    if (state && state.token !== token) return { result: false };
    const now: UniqueState = { id, ...(outcome === 'queued' && { queued: true }) };
    return { result: true, state: JSON.stringify(now), keepMs: forMs };
  };
}

/** It waits in the memory of a process, which has it for another while. False: somebody else has it now. */
function keep(id: string, token: string, keepMs: number): Change<boolean> {
  return (text, now) => {
    const state = read(text);
    if (state?.token !== token) return { result: false };
    const own: UniqueState = { id, token, until: now + LEASE_MS, queued: true };
    return { result: true, state: JSON.stringify(own), keepMs };
  };
}

function free(token: string): Change<boolean> {
  return (text) => (read(text)?.token === token ? { result: true, state: null } : { result: false });
}

/** What was queued is confirmed, or will never be sent. */
function settled(id: string, token: string | undefined, confirmed: boolean, forMs: number): Change<boolean> {
  return (text) => {
    const state = read(text);
    if (state?.id !== id || !state.queued || state.token !== token) return { result: false };
    return confirmed ? { result: true, state: JSON.stringify({ id }), keepMs: forMs } : { result: true, state: null };
  };
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
