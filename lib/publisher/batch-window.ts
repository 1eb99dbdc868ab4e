/** How much of one `publishMany` may be without a result at a time. */
export interface BatchLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/**
 * Feeds the entries of one `publishMany` as their results come, so that it never fails merely for its size. When it was
 * full it opens again at half, so that what follows goes in batches, too.
 */
export class BatchWindow {
  private messages = 0;
  private bytes = 0;
  private wake: (() => void) | undefined;

  constructor(private readonly limits: BatchLimits) {}

  /** An entry that is larger than the window goes alone. */
  hasRoom(bytes: number): boolean {
    const { maxMessages, maxBytes } = this.limits;
    return this.messages === 0 || (this.messages < maxMessages && this.bytes + bytes <= maxBytes);
  }

  enter(bytes: number): void {
    this.messages++;
    this.bytes += bytes;
  }

  leave(bytes: number): void {
    this.messages--;
    this.bytes -= bytes;
    if (this.wake && this.messages <= this.limits.maxMessages / 2 && this.bytes <= this.limits.maxBytes / 2)
      this.wake();
  }

  /** Resolves when half of the window is free and, from now on, another entry has its result. */
  opened(): Promise<void> {
    return new Promise((resolve) => (this.wake = resolve));
  }
}
