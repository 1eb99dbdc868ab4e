import { setTimeout as pause } from 'node:timers/promises';
import type { MessagingError, Publisher } from 'nestjs-messaging';
import type { JournalWriter } from '../journal.js';
import type { Random } from '../random.js';
import { type Behaviour, type LoadRequest, type PublishRequest, ROUTE, SIDE_ROUTE, type WorkBody } from './settings.js';

const TICK_MS = 5;

interface Particulars {
  readonly n?: number;
  readonly delay?: number;
  readonly side?: boolean;
  readonly ordered?: boolean;
}

/** Publishes, and writes down what it tried and what it was told. */
export class Load {
  issued = 0;
  unsettled = 0;
  private running: LoadRequest | undefined;

  constructor(
    private readonly name: string,
    private readonly publisher: Publisher,
    private readonly journal: JournalWriter,
    private readonly random: Random,
  ) {}

  start(load: LoadRequest): void {
    this.running = load;
    if (load.keys === undefined) void this.steady(load);
    else
      for (let key = 0; key < load.keys; key++)
        void (load.ordered ? this.ordered(load, `key-${key}`) : this.keyed(load, `key-${key}`));
  }

  stop(): void {
    this.running = undefined;
  }

  publishNow({ count, does = 'work', delay, filler }: PublishRequest): string[] {
    return Array.from({ length: count }, () => {
      const delayMs = delay && this.random.between(...delay);
      return this.publish({ does, ...(filler !== undefined && { filler: 'x'.repeat(filler) }) }, { delay: delayMs }).id;
    });
  }

  /** An even stream, whatever becomes of the single publish. */
  private async steady(load: LoadRequest): Promise<void> {
    const started = Date.now();
    const limit = load.count ?? Infinity;
    const filler = load.filler === undefined ? undefined : 'x'.repeat(load.filler);
    let issued = 0;
    while (this.running === load && issued < limit) {
      const due = Math.min(limit, ((Date.now() - started) * load.rate) / 1_000);
      for (; issued < due; issued++) {
        const does = load.mixed ? this.behaviour() : 'work';
        const side = this.goesAside(load);
        void this.publish({ does: side ? 'work' : does, ...(filler !== undefined && { filler }) }, { side });
      }
      await pause(TICK_MS);
    }
  }

  /** One after the other: the next of a key only when the one before has its receipt. */
  private async keyed(load: LoadRequest, key: string): Promise<void> {
    const interval = (1_000 * (load.keys ?? 1)) / load.rate;
    for (let n = 0; this.running === load; n++) {
      await this.publish({ does: load.mixed ? this.behaviour() : 'work', key }, { n }).receipt;
      await pause(interval * (0.5 + this.random.next()));
    }
  }

  /** Several at once, none awaited: the publisher keeps their order. */
  private async ordered(load: LoadRequest, key: string): Promise<void> {
    const { ordered: burst = 1, keys = 1, rate } = load;
    const interval = (1_000 * keys * burst) / rate;
    for (let n = 0; this.running === load; n += burst) {
      for (let at = n; at < n + burst; at++)
        void this.publish({ does: 'work', key }, { n: at, ordered: true, side: this.goesAside(load) });
      await pause(interval * (0.5 + this.random.next()));
    }
  }

  private goesAside({ side }: LoadRequest): boolean {
    return side !== undefined && this.random.next() < side;
  }

  private behaviour(): Behaviour {
    const dice = this.random.next();
    return dice < 0.02 ? 'dead' : dice < 0.08 ? 'flaky' : 'work';
  }

  private publish(
    { does, key, filler }: Omit<WorkBody, 'n'>,
    { n = this.issued, delay, side = false, ordered = false }: Particulars = {},
  ): { id: string; receipt: Promise<void> } {
    const id = `${this.name}-${side ? 'side-' : ''}${this.issued++}`;
    const body: WorkBody = { n, does, key, filler };
    this.unsettled++;
    this.journal.write({ e: 'attempt', id, ...(key !== undefined && { key, n }) });
    const options = {
      id,
      ...(ordered && { ordered }),
      ...(key !== undefined && { key }),
      ...(delay !== undefined && { delay }),
    };
    const receipt = this.publisher.publish(side ? SIDE_ROUTE : ROUTE, body, options).then(
      ({ outcome, settled }) => {
        this.journal.write({ e: 'receipt', id, outcome });
        if (outcome === 'confirmed') this.unsettled--;
        else
          void settled.then((final) => {
            this.unsettled--;
            const code = final.outcome === 'rejected' ? { code: final.error.code } : {};
            this.journal.write({ e: 'settled', id, outcome: final.outcome, ...code });
          });
      },
      (error: MessagingError) => {
        this.unsettled--;
        this.journal.write({ e: 'rejected', id, code: error.code });
      },
    );
    return { id, receipt };
  }
}
