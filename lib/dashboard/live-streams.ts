import type { CancelTimer, Clock } from '../clock/clock.js';
import { Refusal } from '../web/refusal.js';

const TICK_MS = 2_000;
const HEARTBEAT_TICKS = 7;
const MOST = 20;
/** Chunks that a tab may be behind. */
const MOST_BEHIND = 16;

type Controller = ReadableStreamDefaultController<Uint8Array>;

/** One snapshot for all open tabs, of which each gets what has changed. */
export class LiveStreams {
  private readonly open = new Set<Controller>();
  private readonly last = new Map<string, string>();
  private readonly encoder = new TextEncoder();
  private cancelTimer: CancelTimer | undefined;
  private quiet = 0;

  constructor(
    private readonly clock: Clock,
    private readonly snapshot: () => Readonly<Record<string, unknown>>,
  ) {}

  get size(): number {
    return this.open.size;
  }

  /** @throws Refusal where there are too many */
  add(): ReadableStream<Uint8Array> {
    if (this.open.size >= MOST) throw new Refusal(503, `${MOST} pages are open already: this one asks now and then`);
    let own: Controller;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          own = controller;
          this.tell(this.compare());
          this.open.add(controller);
          const all = [...this.last].map(([name, json]) => `"${name}":${json}`);
          this.send(controller, `retry: 2000\ndata: {${all.join()}}\n\n`);
          if (!this.cancelTimer) this.plan();
        },
        cancel: () => this.remove(own),
      },
      { highWaterMark: MOST_BEHIND },
    );
  }

  close(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    for (const controller of this.open) end(controller);
    this.open.clear();
  }

  /** Something was done: not at the next tick. */
  push(): void {
    if (this.open.size > 0) this.tell(this.compare());
  }

  private plan(): void {
    this.cancelTimer = this.clock.after(TICK_MS, () => this.tick(), { background: true });
  }

  private tick(): void {
    this.cancelTimer = undefined;
    if (this.open.size === 0) return;
    this.plan();
    const changed = this.compare();
    if (changed.length > 0) this.quiet = 0;
    else if (++this.quiet < HEARTBEAT_TICKS) return;
    else this.quiet = 0;
    if (changed.length > 0) this.tell(changed);
    else for (const controller of this.open) this.send(controller, ': still here\n\n');
  }

  private tell(changed: readonly string[]): void {
    if (changed.length === 0) return;
    for (const controller of this.open) this.send(controller, `data: {${changed.join()}}\n\n`);
  }

  /** @returns the sections that differ from what was sent last, as JSON */
  private compare(): string[] {
    const changed: string[] = [];
    for (const [name, section] of Object.entries(this.snapshot())) {
      const json = JSON.stringify(section);
      if (this.last.get(name) === json) continue;
      this.last.set(name, json);
      changed.push(`"${name}":${json}`);
    }
    return changed;
  }

  private send(controller: Controller, text: string): void {
    // Whoever does not read begins again.
    if ((controller.desiredSize ?? 0) <= 0) {
      this.remove(controller);
      end(controller);
    } else controller.enqueue(this.encoder.encode(text));
  }

  private remove(controller: Controller): void {
    this.open.delete(controller);
  }
}

function end(controller: Controller): void {
  try {
    controller.close();
  } catch {
    // It has ended by itself.
  }
}
