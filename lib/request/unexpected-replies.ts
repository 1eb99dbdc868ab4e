/** Why nobody took a reply: its request was given up before, had its reply already, or was never made. */
export type UnexpectedReply = 'late' | 'second' | 'unknown';

/** As many ended requests are remembered, to tell what a reply that comes after them is. */
const MOST = 10_000;

/** Tells replies apart that no request waits for. */
export class UnexpectedReplies {
  readonly counts: Record<UnexpectedReply, number> = { late: 0, second: 0, unknown: 0 };
  private readonly ended = new Map<string, 'late' | 'second'>();

  /** From now on a reply to it is this. */
  remember(id: string, reply: 'late' | 'second'): void {
    if (this.ended.size >= MOST) for (const [oldest] of this.ended) if (this.ended.delete(oldest)) break;
    this.ended.set(id, reply);
  }

  kindOf(id: string | undefined): UnexpectedReply {
    return (id === undefined ? undefined : this.ended.get(id)) ?? 'unknown';
  }
}
