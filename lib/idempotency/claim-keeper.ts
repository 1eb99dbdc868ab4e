import type { CancelTimer, Clock } from '../clock/clock.js';
import type { IdempotencyStore } from './idempotency-store.js';

export interface HeldClaim {
  readonly key: string;
  readonly token: string;
  /** Another handler has the claim now. */
  lost(): void;
}

/** Renews the leases of all messages that are being handled, with one timer that runs only while there are some. */
export class ClaimKeeper {
  private readonly held = new Set<HeldClaim>();
  private cancelTimer: CancelTimer | undefined;

  constructor(
    private readonly store: IdempotencyStore,
    private readonly leaseMs: number,
    private readonly clock: Clock,
    private readonly onError: (error: unknown) => void,
  ) {}

  add(claim: HeldClaim): void {
    this.held.add(claim);
    this.cancelTimer ??= this.clock.after(this.leaseMs / 3, () => this.renew(), { background: true });
  }

  delete(claim: HeldClaim): void {
    this.held.delete(claim);
    if (this.held.size > 0) return;
    this.cancelTimer?.();
    this.cancelTimer = undefined;
  }

  private renew(): void {
    for (const claim of this.held) {
      this.store.renew(claim.key, claim.token, this.leaseMs).then((kept) => {
        if (!kept && this.held.has(claim)) claim.lost();
      }, this.onError);
    }
    this.cancelTimer = this.clock.after(this.leaseMs / 3, () => this.renew(), { background: true });
  }
}
