import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import { nameOf } from '../message/message-name.js';
import type { Outcome } from '../pipeline/outcome.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { SettledAs, Settlement } from './settlement/settlement.js';
import type { Work } from './call/work.js';

export interface SettlingEnvironment {
  readonly settlement: Settlement;
  readonly reports: ConsumerReports;
  readonly log: Log;
  /** The delivery is settled, or no longer waited for. */
  leave(work: Work): void;
}

/** Settles what was handled, once, and tells what became of it. */
export class Settling {
  constructor(private readonly environment: SettlingEnvironment) {}

  settle(work: Work, outcome: Outcome): void {
    if (work.closed) return this.environment.leave(work);
    work.closed = true;
    try {
      const settled = this.environment.settlement.settle(work.delivery, work.attempt, outcome);
      if (typeof settled === 'string') return this.settled(work, settled, outcome.error);
      settled
        .then((late) => this.settled(work, late, outcome.error))
        .catch((error: unknown) => this.onDefect(work, error));
    } catch (error) {
      this.onDefect(work, error);
    }
  }

  private settled(work: Work, settled: SettledAs, error: unknown): void {
    this.environment.reports.settled(work, settled, error);
    this.environment.leave(work);
  }

  /** The message goes back to the broker; one whose delivery cannot even do that comes back with the connection. */
  private onDefect(work: Work, error: unknown): void {
    const { log, settlement, reports } = this.environment;
    const { queue, message } = work.delivery;
    log.error(`«${queue}»: ${nameOf(message)} could not be settled, it is given back: ${errorMessage(error)}`);
    try {
      settlement.giveBackLater(work.delivery);
    } catch (failure) {
      log.error(`«${queue}»: ${nameOf(message)} could not be given back either: ${errorMessage(failure)}`);
    }
    reports.unsettled(work);
    this.environment.leave(work);
  }
}
