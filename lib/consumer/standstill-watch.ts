import { type CancelTimer, type Clock } from '../clock/clock.js';
import type { Log } from '../events/log.js';
import type { Transport } from '../transport/transport.js';
import type { ConsumerState } from './gate.js';

/** How often each consumer is looked at. */
const LOOK_INTERVAL_MS = 30_000;
/** A consumer that got nothing at so many looks in a row, while messages were ready, stands still. */
const LOOKS = 2;
/** After a consumer was attached again in vain the next try is twice as many looks later, at most so many. */
const MOST_LOOKS = 32;

/** A consumer as far as it can stand still. */
export interface WatchedConsumer {
  readonly queue: string;
  readonly state: ConsumerState;
  readonly inFlight: number;
  readonly intake: WatchedIntake;
}

export interface WatchedIntake {
  /** How many messages have come since the start. */
  readonly deliveries: number;
  /** What the watch found, for health. */
  standstill: string | undefined;
  /** Begins to consume anew. Absent where getting nothing is nothing wrong. */
  readonly attachAgain: ((reason: string) => void) | undefined;
}

interface Look {
  deliveries: number;
  /** Looks in a row at which messages were ready and none had come. */
  inVain: number;
  /** At so many looks in a row the consumer is attached again. */
  actAt: number;
}

/**
 * Notices consumers to which nothing is delivered although their queue has messages ready: whatever the cause, they are
 * attached again, and that is told. A queue is asked for its depth only where nothing has come since the last look.
 */
export class StandstillWatch {
  private readonly looks = new WeakMap<WatchedConsumer, Look>();
  private cancelTimer: CancelTimer | undefined;
  private running = false;

  constructor(
    private readonly environment: { readonly transport: Transport; readonly clock: Clock; readonly log: Log },
    private readonly consumers: () => Iterable<WatchedConsumer>,
  ) {}

  start(): void {
    // A transport that cannot say whether messages are ready cannot tell a standstill.
    if (this.running || !this.environment.transport.queues) return;
    this.running = true;
    this.schedule();
  }

  stop(): void {
    this.running = false;
    this.cancelTimer?.();
  }

  private schedule(): void {
    if (!this.running) return;
    this.cancelTimer = this.environment.clock.after(LOOK_INTERVAL_MS, () => void this.lookAtAll(), {
      background: true,
    });
  }

  /** Looks at one after the other: a thousand queues are not asked at the same time. */
  private async lookAtAll(): Promise<void> {
    for (const consumer of [...this.consumers()])
      if (this.running && consumer.intake.attachAgain) await this.look(consumer);
    this.schedule();
  }

  private async look(consumer: WatchedConsumer): Promise<void> {
    const { queue, intake } = consumer;
    const { deliveries } = intake;
    const look = this.looks.get(consumer) ?? { deliveries: -1, inVain: 0, actAt: LOOKS };
    this.looks.set(consumer, look);
    const nothingCame = isExpectant(consumer) && look.deliveries === deliveries;
    look.deliveries = deliveries;
    const ready = nothingCame ? await this.readyIn(queue) : 0;
    // Nobody knows: what was seen before still holds.
    if (ready === undefined) return;
    if (ready === 0 || !isExpectant(consumer) || intake.deliveries !== deliveries)
      return this.wellAgain(consumer, look);
    if (++look.inVain < look.actAt) return;
    look.actAt = look.inVain + Math.min(look.inVain, MOST_LOOKS);
    const seconds = (look.inVain * LOOK_INTERVAL_MS) / 1_000;
    intake.standstill = `${ready === 1 ? '1 message is' : `${ready} messages are`} ready and none has come for ${seconds} s`;
    this.environment.log.warn(`«${queue}»: ${intake.standstill}; the consumer is attached again`);
    intake.attachAgain?.(intake.standstill);
  }

  private wellAgain({ queue, intake }: WatchedConsumer, look: Look): void {
    look.inVain = 0;
    look.actAt = LOOKS;
    if (intake.standstill === undefined) return;
    intake.standstill = undefined;
    this.environment.log.log(`«${queue}»: messages come again`);
  }

  private async readyIn(queue: string): Promise<number | undefined> {
    try {
      const { queues } = this.environment.transport;
      return (await (queues?.readyHere ? queues.readyHere(queue) : queues?.depth(queue))) ?? 0;
    } catch {
      // Disconnected: the connection's own state says so.
      return undefined;
    }
  }
}

/** The consumer consumes and holds nothing: it should get what is ready. */
function isExpectant({ state, inFlight }: WatchedConsumer): boolean {
  return state === 'consuming' && inFlight === 0;
}
