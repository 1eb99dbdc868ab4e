import type { CancelTimer, Clock } from '../../clock/clock.js';
import type { ReconnectPolicy } from '../../transport/transport.js';
import { Backoff } from './backoff.js';
import type { BrokerClient, MemoryBroker } from './memory-broker.js';
import { Session } from './memory-delivery.js';
import { reasonOf } from './reason.js';

/** Where the waiting between attempts comes from. */
export interface ConnectionTiming {
  readonly clock: Clock;
  readonly random: () => number;
  readonly reconnect: ReconnectPolicy;
}

export interface ConnectionHandlers {
  /** There is a new session; publishing is blocked for the reason given, if any. */
  up(session: Session, blockedBy: string | undefined): void;
  /** The session ended (undefined: there was none, the first attempt failed). It gave nothing back yet. */
  down(reason: string, session: Session | undefined): void;
  /** Publishing is blocked for the reason given, or goes on (undefined). */
  blocked(reason: string | undefined): void;
}

/** Keeps a client connected to its broker, for ever, until it is closed. */
export class MemoryConnection implements BrokerClient {
  session: Session | undefined;
  private readonly backoff: Backoff;
  private cancelRetry: CancelTimer | undefined;
  private closed = false;

  constructor(
    private readonly broker: MemoryBroker,
    private readonly timing: ConnectionTiming,
    private readonly handlers: ConnectionHandlers,
  ) {
    this.backoff = new Backoff(timing.reconnect, timing.random);
  }

  /** Connects, or begins to try again and again. */
  open(): void {
    const reason = this.attempt();
    if (reason !== undefined) this.handlers.down(reason, undefined);
  }

  disconnected(reason: string): void {
    const { session } = this;
    this.session = undefined;
    this.handlers.down(reason, session);
    this.retryLater();
  }

  blocked(reason: string | undefined): void {
    this.handlers.blocked(reason);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.cancelRetry?.();
    this.broker.leave(this);
    const { session } = this;
    this.session = undefined;
    if (session) this.handlers.down('closed', session);
  }

  private attempt(): string | undefined {
    let blockedBy: string | undefined;
    try {
      blockedBy = this.broker.connect(this, this.timing.clock);
    } catch (error) {
      this.retryLater();
      return reasonOf(error);
    }
    this.backoff.reset();
    this.session = new Session();
    this.handlers.up(this.session, blockedBy);
    return undefined;
  }

  private retryLater(): void {
    if (this.closed) return;
    this.cancelRetry = this.timing.clock.after(this.backoff.next(), () => void this.attempt());
  }
}
