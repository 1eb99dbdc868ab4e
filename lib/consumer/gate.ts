import type { Clock } from '../clock/clock.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { Intake } from './intake.js';
import { KillSwitch, type KillSwitchOptions, type KillSwitchState } from './kill-switch.js';

/** `standby`: a partition that another process has. */
export type ConsumerState = 'consuming' | 'paused' | 'stopped' | 'waiting' | 'standby';

/** Whether handlers may be called: not while the consumer is paused, by hand or by its kill switch, nor once it stops. */
export class Gate {
  /** To be told of handler calls. */
  readonly killSwitch: KillSwitch | undefined;
  /** For one message that is called alone. */
  reserved = false;
  private paused = false;
  private stopping = false;

  constructor(
    private readonly intake: Intake,
    private readonly reports: ConsumerReports,
    options: Required<KillSwitchOptions> | undefined,
    clock: Clock,
    private readonly opened: () => void,
  ) {
    if (options) this.killSwitch = new KillSwitch(options, clock, (state, reason) => this.switched(state, reason));
  }

  get open(): boolean {
    return !this.reserved && this.passable;
  }

  /** Whether the message that the gate is reserved for may be called. */
  get passable(): boolean {
    return !this.stopping && !this.paused && (this.killSwitch === undefined || this.killSwitch.passes);
  }

  get state(): ConsumerState {
    if (this.stopping) return 'stopped';
    if (this.paused || this.killSwitch?.reason !== undefined) return 'paused';
    return this.intake.waitingFor === undefined ? 'consuming' : 'waiting';
  }

  /** Why the subscription does not consume, where that is nobody's wish. */
  get reason(): string | undefined {
    return this.state === 'waiting' ? this.intake.waitingFor : this.killSwitch?.reason;
  }

  pause(): void {
    if (this.paused || this.stopping) return;
    this.paused = true;
    this.intake.pause();
    this.reports.stopped('paused');
  }

  /** Also what the kill switch has stopped. */
  resume(): void {
    if (this.stopping) return;
    const wasPaused = this.paused;
    this.paused = false;
    this.killSwitch?.reset();
    if (!wasPaused) return;
    this.intake.resume();
    this.opened();
  }

  stop(): void {
    this.stopping = true;
    this.killSwitch?.stop();
  }

  /** A handler is called: as the probe it is the only one. */
  began(call: object): void {
    this.killSwitch!.began(call);
    if (!this.open) this.intake.pause();
  }

  private switched(state: KillSwitchState, reason: string): void {
    this.reports.switched(state, reason);
    if (state === 'tripped') {
      this.intake.pause();
      return this.reports.stopped(reason);
    }
    if (this.paused || this.stopping) return;
    this.intake.resume();
    this.opened();
  }
}
