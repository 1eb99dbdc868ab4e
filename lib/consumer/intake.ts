import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { SubscribeHandlers, SubscribeOptions, Transport, TransportSubscription } from '../transport/transport.js';
import type { AttemptCount } from './settlement/attempt-count.js';

export interface IntakeOptions extends SubscribeOptions {
  readonly transport: Transport;
  readonly log: Log;
  /** Where messages keep their order, nobody else may get later ones while this consumer holds some. */
  readonly keepsOrder: boolean;
  /** To be told of interruptions. */
  readonly attempts?: Pick<AttemptCount, 'interrupted'>;
  /** Nothing comes any more, and why, though the intake was neither paused nor ended. */
  stopped(reason: string): void;
}

/** Where the deliveries of a subscription come from. */
export class Intake {
  /** Why nothing comes; undefined while the intake consumes. */
  waitingFor: string | undefined = 'starting';
  /** How many messages have come since the start. */
  deliveries = 0;
  /** Messages are ready and none comes, as far as the watch over standstills has found. */
  standstill: string | undefined;
  private subscription: TransportSubscription | undefined;
  private paused = false;
  private ending = false;
  private declared = false;

  constructor(private readonly options: IntakeOptions) {}

  /** Once. @throws TopologyMismatchError and what else waiting cannot cure */
  async declare(): Promise<void> {
    if (this.declared) return;
    const { transport, topology } = this.options;
    await transport.declare(topology);
    this.declared = true;
  }

  /** Declares the topology and begins to consume. @throws TopologyMismatchError and what else waiting cannot cure */
  async start(handlers: Pick<SubscribeHandlers, 'delivery' | 'lost'>): Promise<void> {
    const { transport, topology, prefetch, ackDelayMs = 0 } = this.options;
    await this.declare();
    this.subscription = await transport.subscribe(
      { topology, prefetch, ackDelayMs },
      { ...handlers, state: (consuming, reason) => this.onState(consuming, reason) },
    );
    if (this.paused) this.pause();
    if (this.ending) await this.end();
  }

  /** Begins to consume anew; absent where the transport sees nothing wrong in getting nothing. */
  get attachAgain(): ((reason: string) => void) | undefined {
    const subscription = this.subscription;
    return subscription?.attachAgain && ((reason) => subscription.attachAgain!(reason));
  }

  pause(): void {
    this.paused = true;
    if (!this.options.keepsOrder) this.subscription?.pause();
  }

  resume(): void {
    this.paused = false;
    if (!this.options.keepsOrder) this.subscription?.resume();
  }

  /** Nothing is delivered any more. It does not reject. */
  async end(): Promise<void> {
    this.ending = true;
    try {
      await this.subscription?.stop(this.options.keepsOrder);
    } catch (error) {
      const { log, topology } = this.options;
      log.error(`«${topology.queue}»: the intake could not be ended: ${errorMessage(error)}`);
    }
  }

  private onState(consuming: boolean, reason = 'no connection'): void {
    this.waitingFor = consuming ? undefined : reason;
    if (consuming || this.ending || this.paused) return;
    this.options.attempts?.interrupted();
    this.options.stopped(reason);
  }
}
