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

/** What was done in this process, the newest first. */
export class Activity {
  private readonly operations: Operation[] = [];
  /** Ends it. */
  readonly stop: () => void;

  constructor(private readonly messaging: ObservedMessaging) {
    const { events, environment } = messaging;
    this.stop = events.on('operated', (operation) => {
      this.operations.unshift({ at: environment.clock.now(), ...operation });
      if (this.operations.length > MOST) this.operations.pop();
    });
  }

  get all(): readonly Operation[] {
    return this.operations;
  }

  add(operator: string, action: string, what: string, result: string): void {
    tellOperation(this.messaging, operator, action, what, result);
  }
}

/** Tells whoever lists it, whoever listens, and the log. */
export function tellOperation(
  { events, environment }: ObservedMessaging,
  operator: string,
  action: string,
  what: string,
  result: string,
): void {
  const subject = what.slice(0, MOST_CHARACTERS);
  const operation = { operator, action, subject, result };
  environment.log.log(`Dashboard: ${operator}, ${action} «${subject}»: ${result}`, operation);
  events.emit('operated', operation);
}
