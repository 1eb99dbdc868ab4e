import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEnvironment, TransportEvent } from '../../../lib/transport/transport.js';
import { type Dialer, SupervisedConnection } from '../../../lib/transports/kit/supervised-connection.js';
import type { ConsumerSession } from '../../../lib/transports/kit/supervised-consumer.js';

export interface Link {
  readonly number: number;
}

/** A session that does what it is told, and says what it was told. */
export class ScriptedSession implements ConsumerSession {
  readonly told: string[] = [];
  readonly ended: Promise<string>;
  /** Rejects `consume`. */
  refusal?: Error;
  /** It ends neither by `close` nor by `giveUp`. */
  hangs = false;
  end!: (reason: string) => void;

  constructor(readonly previous?: ScriptedSession) {
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  async consume(): Promise<void> {
    this.told.push('consume');
    if (this.refusal) throw this.refusal;
  }

  pause(): void {
    this.told.push('pause');
  }

  async stop(): Promise<void> {
    this.told.push('stop');
  }

  finish(): void {
    this.told.push('finish');
  }

  giveUp(reason: string): void {
    this.told.push('give up');
    if (!this.hangs) this.end(reason);
  }

  async recover(previous: ScriptedSession): Promise<void> {
    this.told.push(`recover from ${previous.told.length}`);
  }

  async close(): Promise<void> {
    this.told.push('close');
    if (!this.hangs) this.end('closed');
  }
}

/** A connection to a broker that always lets in, until `cut` and again after `mend`. */
export class ScriptedBroker {
  readonly clock = new ManualClock();
  readonly warnings: string[] = [];
  readonly destroyed: string[] = [];
  private up = true;
  private links = 0;
  private link?: Link;
  readonly environment = {
    clock: this.clock,
    random: () => 0.5,
    reconnect: { initial: 100, max: 1_000, jitter: 0 },
    confirmTimeout: 5_000,
    onEvent: (event: TransportEvent) => void (event.type === 'warning' && this.warnings.push(event.message)),
  } as unknown as TransportEnvironment;
  opened: (link: Link) => void = () => {};
  lost: (reason: string) => void = () => {};
  private ended: (link: Link, reason: string, byBroker?: boolean) => void = () => {};
  readonly dialer: Dialer<Link> = {
    name: 'Broker',
    open: async (_, on) => {
      this.ended = (link, reason, byBroker) => on.ended(link, reason, byBroker);
      if (!this.up) throw new Error('refused');
      return (this.link = { number: ++this.links });
    },
    end: async () => {},
    destroy: (link, reason, on) => {
      this.destroyed.push(reason);
      on.ended(link, reason);
    },
    describe: (error) => (error as Error).message.replace('secret', '***'),
    redact: (text) => text.replace('secret', '***'),
  };
  readonly connection = new SupervisedConnection<Link>(this.dialer, this.environment, {
    opened: (link) => this.opened(link),
    lost: (reason) => this.lost(reason),
    warning: () => {},
  });

  /** The broker ends a link: over something that it was sent, or not. */
  end(link: Link, reason: string, byBroker = false): void {
    this.ended(link, reason, byBroker);
  }

  cut(): void {
    this.up = false;
    this.ended(this.link!, 'the cable was cut');
  }

  /** Takes effect with the next attempt to connect. */
  mend(): void {
    this.up = true;
  }
}
