import type { CancelTimer } from '../../clock/clock.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import type { Link } from './link.js';
import type { Queues } from './queues.js';

/** A clock that is off by more has jumped. */
const JUMP_MS = 2_000;

/** What nobody waits for: queues that expire, and a clock of the server that jumps. */
export class Upkeep {
  private readonly told = new Set<string>();
  /** The server's clock less our own. */
  private ahead: { readonly link: Link; readonly ms: number } | undefined;
  private cancelTick: CancelTimer = () => {};

  constructor(
    private readonly environment: TransportEnvironment,
    private readonly everyMs: number,
    private readonly current: () => Link | undefined,
    private readonly queues: Pick<Queues, 'sweep'>,
  ) {}

  start(): void {
    const tick = (): void => void this.tick();
    this.cancelTick = this.environment.clock.after(this.everyMs, tick, { background: true });
  }

  stop(): void {
    this.cancelTick();
    this.cancelTick = () => {};
  }

  /** Warns, `once` of each. */
  tell(remarks: readonly string[], once = true): void {
    for (const message of remarks) {
      if (once && this.told.has(message)) continue;
      if (once) this.told.add(message);
      this.environment.onEvent({ type: 'warning', message });
    }
  }

  private async tick(): Promise<void> {
    const link = this.current();
    const { cancelTick } = this;
    if (link) await this.look(link).catch(() => {});
    if (cancelTick === this.cancelTick) this.start();
  }

  private async look(link: Link): Promise<void> {
    const { clock } = this.environment;
    const before = clock.monotonic();
    const [seconds, microseconds] = (await link.client.time()).map(Number);
    const now = seconds * 1_000 + Math.floor(microseconds / 1_000);
    const ms = now - (before + clock.monotonic()) / 2;
    const jump = this.ahead?.link === link ? Math.round(ms - this.ahead.ms) : 0;
    this.ahead = { link, ms };
    if (Math.abs(jump) >= JUMP_MS)
      this.tell([`The clock of Redis went ${jump > 0 ? 'forward' : 'back'} by ${Math.abs(jump)} ms: what is delayed comes that much ${jump > 0 ? 'earlier' : 'later'}`], false); // prettier-ignore
    await this.queues.sweep(link, now);
  }
}
