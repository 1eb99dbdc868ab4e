import type { Clock } from '../../clock/clock.js';
import type { Log } from '../../events/log.js';
import { Outcome } from '../../pipeline/outcome.js';
import type { Delivery } from '../../transport/delivery.js';
import { CallsAlone } from './calls-alone.js';
import type { Gate } from '../gate.js';
import { LostCalls } from './lost-calls.js';
import type { Precheck } from '../settlement/precheck.js';
import type { Schedule } from '../schedule/schedule.js';
import { callsAloneOf } from '../settlement/suspicion.js';
import type { Work } from './work.js';

interface CallStartParts {
  readonly precheck: Precheck;
  readonly schedule: Schedule<Delivery>;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly log: Log;
  /** What the broker's wait for an ack is called there. */
  readonly limitName: string | undefined;
  /** How many calls run or are about to. */
  running(): number;
  /** A delivery that has no slot. */
  workOf(delivery: Delivery): Work;
  run(work: Work): void;
  settle(work: Work, outcome: Outcome): void;
}

/** How a message begins: with a call at once, with one alone, with the result of an earlier call, or without any. */
export class CallStart {
  private readonly lost: LostCalls;
  private readonly alone: CallsAlone;

  constructor(private readonly parts: CallStartParts) {
    const { clock, log, limitName, gate } = parts;
    const settle = (work: Work, outcome: Outcome): void => parts.settle(work, outcome);
    this.lost = new LostCalls({
      ...{ clock, log, limitName, settle },
      run: (work) => this.checked(work),
    });
    this.alone = new CallsAlone({
      ...{ clock, gate },
      running: () => parts.running(),
      call: (work) => parts.run(work),
      reserved: () => this.sweep(),
      putOff: (work, delayMs) => settle(work, Outcome.defer(delayMs)),
    });
  }

  begin(work: Work): void {
    if (this.lost.size === 0 || !this.lost.takes(work)) this.checked(work);
  }

  /** For health: what is wrong with the calls. */
  get problem(): string | undefined {
    return this.lost.report();
  }

  /** The suspect that waits for its call, if any. */
  get waiting(): Work[] {
    return this.alone.waiting;
  }

  /** A call has ended, or the gate was opened. */
  advance(): void {
    this.alone.advance();
  }

  /** While a suspect is here, no other one waits for its turn: it would look as guilty. */
  sweep(): void {
    const { gate, schedule } = this.parts;
    if (!gate.reserved) return;
    for (const delivery of [...schedule.waiting])
      if (callsAloneOf(delivery) > 0 && schedule.withdraw(delivery)) this.begin(this.parts.workOf(delivery));
  }

  /** A call has come to this. */
  ended(work: Work, outcome: Outcome): void {
    if (work.closed) this.lost.ended(work, outcome);
    else if (outcome === Outcome.ack) this.lost.endedWell(work);
  }

  /** The delivery is settled, held, or given up. True: it waited here and was not being called. */
  left(work: Work): boolean {
    const waited = this.alone.left(work);
    return this.lost.withdraw(work) || waited;
  }

  /** The delivery of a message that is being called is lost. */
  lose(work: Work, lateMs: number | undefined): void {
    this.lost.lost(work, lateMs);
  }

  private checked(work: Work): void {
    const { delivery } = work;
    const outcome = this.parts.precheck.outcomeOf(delivery, work.attempt);
    if (outcome?.type === 'suspect') this.parts.settle(work, Outcome.suspect(this.alone.nextWait()));
    else if (outcome) this.parts.settle(work, outcome);
    else if (callsAloneOf(delivery) > 0) this.alone.add(work);
    else this.parts.run(work);
  }
}
