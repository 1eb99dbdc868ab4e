/** Messages that are remembered. */
const MOST = 1_000;

/** How often messages went back without a call of their handler. SQS has counted that. */
export class Uncalled {
  private readonly counts = new Map<string, number>();

  add(id: string): void {
    this.counts.set(id, this.of(id) + 1);
    if (this.counts.size > MOST) this.counts.delete(this.counts.keys().next().value!);
  }

  of(id: string): number {
    return this.counts.get(id) ?? 0;
  }
}
