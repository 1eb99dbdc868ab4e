import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import { Refusal } from './refusal.js';

const SESSION_S = 12 * 3_600;
const MOST_FAILURES = 10;
const WAIT_MS = 30_000;

/** A token, asked for once and then remembered by a cookie that does not hold it. */
export class TokenLogin {
  /** Ports of one host share their cookies: the login of one token does not end that of another. */
  private readonly name: string;
  private failures = 0;
  private failedAt = -Infinity;

  constructor(
    private readonly token: string,
    private readonly clock: Clock,
  ) {
    this.name = `nestjs-messaging-${this.hmac('cookie').slice(0, 8)}`;
  }

  isKnown(cookies: string | null, authorization: string | null): boolean {
    if (authorization?.startsWith('Bearer ')) return this.tries(authorization.slice(7));
    for (const cookie of (cookies ?? '').split(';')) {
      const [name, value = ''] = cookie.trim().split('=');
      if (name !== this.name) continue;
      const [until, mark] = value.split('.');
      if (/^\d{1,12}$/.test(until) && Number(until) * 1_000 > this.clock.now() && isSame(mark ?? '', this.mark(until)))
        return true;
    }
    return false;
  }

  /** With this request: as a bearer token, or as the password of any user. @throws Refusal where it was wrong too often */
  isGiven(authorization: string | null): boolean {
    const [scheme = '', value = ''] = (authorization ?? '').split(' ');
    if (scheme === 'Bearer') return this.tries(value);
    if (scheme !== 'Basic') return false;
    const pair = Buffer.from(value, 'base64').toString();
    return this.tries(pair.slice(pair.indexOf(':') + 1));
  }

  /** @returns the cookie. @throws Refusal where the token is another, or was too often */
  login(given: unknown, secure: boolean): string {
    if (!this.tries(given)) throw new Refusal(403, 'This is not the token');
    const until = String(Math.floor(this.clock.now() / 1_000) + SESSION_S);
    return this.cookie(`${until}.${this.mark(until)}`, SESSION_S, secure);
  }

  logout(secure: boolean): string {
    return this.cookie('', 0, secure);
  }

  private tries(given: unknown): boolean {
    if (typeof given === 'string' && isSame(given, this.token)) {
      this.failures = 0;
      return true;
    }
    // After the comparison: a stranger must not keep out who has the token.
    const now = this.clock.monotonic();
    if (this.failures >= MOST_FAILURES && now - this.failedAt < WAIT_MS)
      throw new Refusal(429, 'Too many wrong tokens: wait for half a minute');
    this.failures++;
    this.failedAt = now;
    return false;
  }

  /** Without a path it holds for where the page is, whatever is in front of that. */
  private cookie(value: string, seconds: number, secure: boolean): string {
    return `${this.name}=${value}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`;
  }

  private mark(until: string): string {
    return this.hmac(`dashboard session until ${until}`);
  }

  private hmac(text: string): string {
    return createHmac('sha256', this.token).update(text).digest('base64url');
  }
}

/** In a time that does not depend on where they differ. */
function isSame(one: string, other: string): boolean {
  const hash = (text: string): Buffer => createHmac('sha256', 'compared').update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}
