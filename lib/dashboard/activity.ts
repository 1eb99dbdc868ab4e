import type { ObservedMessaging } from './observed-messaging.js';

/** Something that somebody did here. */
export interface Operation {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly operator: string;
  /** `pause`, `resume`, `pause everywhere`, `resume everywhere`, `look`, `redrive`, `stop redrive`, `delete`. */
  readonly action: string;
  /** What it was done to: a subscription, a queue, or a filter. */
  readonly subject: string;
  readonly result: string;
}

const MOST = 200;
const MOST_CHARACTERS = 200;

/** What was done in this process, the newest first; each is a line of the log as well. */
export class Activity {
  private readonly operations: Operation[] = [];

  constructor(private readonly messaging: ObservedMessaging) {}

  get all(): readonly Operation[] {
    return this.operations;
  }

  add(operator: string, action: string, what: string, result: string): void {
    const { events, environment } = this.messaging;
    const subject = what.slice(0, MOST_CHARACTERS);
    const operation = { operator, action, subject, result };
    this.operations.unshift({ at: environment.clock.now(), ...operation });
    if (this.operations.length > MOST) this.operations.pop();
    environment.log.log(`Dashboard: ${operator}, ${action} «${subject}»: ${result}`, operation);
    events.emit('operated', operation);
  }
}
