import type { Clock } from '../../../clock/clock.js';
import { NANOS_PER_MS } from '../connection/link.js';

const MOST = 512;

interface LoggedSettlement {
  readonly reply: string;
  readonly how: Uint8Array;
  readonly at: number;
  readonly delayMs: number;
}

/** Gives a message back for a time. */
export function nakWithDelay(delayMs: number): Buffer {
  return Buffer.from(`-NAK {"delay":${Math.ceil(delayMs) * NANOS_PER_MS}}`);
}

/** The last settlements of a session. One is only a write to a socket: those before a cut may never have been read. */
export class SettlementLog {
  private readonly ring: LoggedSettlement[] = [];
  private next = 0;

  constructor(
    private readonly clock: Clock,
    private readonly validMs: number,
  ) {}

  add(reply: string, how: Uint8Array, delayMs: number): void {
    this.ring[this.next] = { reply, how, delayMs, at: this.clock.monotonic() };
    this.next = (this.next + 1) % MOST;
  }

  /** Once more, as far as that cannot do harm: a time that is over already is left out. */
  replay(send: (reply: string, how: Uint8Array) => void): void {
    const now = this.clock.monotonic();
    for (const { reply, how, at, delayMs } of this.ring) {
      const age = now - at;
      if (age > this.validMs) continue;
      if (delayMs === 0) send(reply, how);
      else if (delayMs > age) send(reply, nakWithDelay(delayMs - age));
    }
  }
}
