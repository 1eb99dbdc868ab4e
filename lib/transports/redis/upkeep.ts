import type { CancelTimer } from '../../clock/clock.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import type { Link } from './link.js';
import type { Queues } from './queues.js';
import type { Survey } from './server.js';

/** A clock that is off by more has jumped. */
const JUMP_MS = 2_000;
/** Its settings can be changed while it runs. */
const SURVEY_EVERY_MS = 30_000;

/** What nobody waits for: queues that expire, a clock of the server that jumps, settings that change. */
export class Upkeep {
  private readonly told = new Set<string>();
  /** The server's clock less our own. */
  private ahead: { readonly link: Link; readonly ms: number } | undefined;
  private cancelTick: CancelTimer = () => {};
  /** What the server said of itself first, and last. */
  private first: Survey['server'] | undefined;
  private last: Survey['server'] | undefined;
  private surveyedAt = -Infinity;

  constructor(
    private readonly environment: TransportEnvironment,
    private readonly everyMs: number,
    private readonly current: () => Link | undefined,
    private readonly queues: Pick<Queues, 'sweep'>,
    /** Asks the server what it says of itself, and hands that to `surveyed`. */
    private readonly survey: (link: Link) => Promise<void>,
  ) {}

  /** What the server said of itself last, and what of that was otherwise at the start. */
  get server(): Survey['server'] | undefined {
    const { first, last } = this;
    const changed = Object.keys(last ?? {}).filter((name) => last![name] !== first![name]);
    return changed.length > 0
      ? { ...last, changed: changed.map((name) => `${name} (was ${first![name]})`).join(', ') }
      : last;
  }

  /** What is otherwise than it was is told, and what confirms are worth. */
  surveyed({ server, remarks }: Survey): void {
    const before = (this.last ??= server);
    this.first ??= server;
    this.last = server;
    this.surveyedAt = this.environment.clock.monotonic();
    for (const [name, value] of Object.entries(server))
      if (value !== before[name])
        this.tell([`The server of Redis was set otherwise: ${name} is ${value}, and was ${before[name]}`], false);
    this.tell(remarks);
  }

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
      this.tell(
        [
          `The clock of Redis went ${jump > 0 ? 'forward' : 'back'} by ${Math.abs(jump)} ms: what is delayed comes that much ${jump > 0 ? 'earlier' : 'later'}`,
        ],
        false,
      );
    if (clock.monotonic() - this.surveyedAt >= SURVEY_EVERY_MS) await this.survey(link);
    await this.queues.sweep(link, now);
  }
}
