import type { Clock } from '../clock/clock.js';
import { connectionAdvice } from './connection-advice.js';
import type { ConnectionHealth } from './health-report.js';

const STARTING = 'starting';

/** The state of the connection as its events tell it. */
export class ConnectionState {
  private state: ConnectionHealth['state'] = 'connecting';
  private since: number;
  private reason: string | undefined = STARTING;

  constructor(private readonly clock: Clock) {
    this.since = clock.now();
  }

  get connected(): boolean {
    return this.state === 'connected' || this.state === 'blocked';
  }

  get blocked(): boolean {
    return this.state === 'blocked';
  }

  set(state: ConnectionHealth['state'], reason?: string): void {
    if (state !== this.state) this.since = this.clock.now();
    this.state = state;
    this.reason = reason;
  }

  /** Why it is not connected is this. */
  isBecauseOf(reason: string): boolean {
    return this.reason === reason;
  }

  report(host: string): ConnectionHealth {
    const since = new Date(this.since).toISOString();
    return {
      state: this.state,
      since,
      host,
      blocked: this.blocked,
      ...(this.reason !== undefined && { reason: this.reason, ...this.advice() }),
    };
  }

  /** While a connection starts or closes there is nothing to look at. */
  private advice(): { advice?: string } {
    if (this.state === 'closed' || this.reason === STARTING) return {};
    return { advice: connectionAdvice(this.reason!, this.blocked) };
  }
}
