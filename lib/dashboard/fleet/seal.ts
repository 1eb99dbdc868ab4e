import { createHmac, createSecretKey, type KeyObject, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../clock/clock.js';

/** So far may the clock of another host be from ours, the way of the message included. */
export const WINDOW_MS = 30_000;
const MOST_BYTES = 65_536;
/** Messages of the last minute that are remembered, so that none is taken twice. */
const MOST_NONCES = 10_000;
const SIGNED = /^([\w-]{43})\.(\{.*)$/s;

/** Why a message is not listened to. */
export type SealRefusal = 'unsigned' | 'expired' | 'replayed' | 'too many';

/** What one process tells another, of which nothing is believed but who made it, when, and that it is new. */
export type Opened = Readonly<Record<string, unknown>> & { readonly kind: unknown };

/** Signs what processes of a fleet tell each other: HMAC-SHA256 over the text, the time and a nonce in it. */
export class Seal {
  /** By nonce, until when it could still be taken for a new one. */
  private readonly nonces = new Map<string, number>();
  private readonly key: KeyObject;

  constructor(
    secret: string,
    private readonly clock: Clock,
  ) {
    this.key = createSecretKey(Buffer.from(secret));
  }

  close(content: object): Buffer {
    const text = JSON.stringify({ ...content, at: this.clock.now(), nonce: randomUUID() });
    return Buffer.from(`${this.sign(text).toString('base64url')}.${text}`);
  }

  /** Once for each message. */
  open(body: Buffer): Opened | SealRefusal {
    const [, signature, text] = (body.length <= MOST_BYTES && SIGNED.exec(body.toString())) || [];
    if (!signature || !timingSafeEqual(Buffer.from(signature, 'base64url'), this.sign(text))) return 'unsigned';
    const content = JSON.parse(text) as Opened;
    const { at, nonce } = content;
    const now = this.clock.now();
    if (typeof at !== 'number' || typeof nonce !== 'string' || Math.abs(now - at) > WINDOW_MS) return 'expired';
    this.forgetBefore(now);
    if (this.nonces.has(nonce)) return 'replayed';
    if (this.nonces.size >= MOST_NONCES) return 'too many';
    this.nonces.set(nonce, at + WINDOW_MS);
    return content;
  }

  private sign(text: string): Buffer {
    return createHmac('sha256', this.key).update('nestjs-messaging fleet 1\n').update(text).digest();
  }

  /** They are nearly in the order of their times: the first that still counts ends it. */
  private forgetBefore(now: number): void {
    for (const [nonce, until] of this.nonces) {
      if (until >= now) return;
      this.nonces.delete(nonce);
    }
  }
}
