/** Tells all who wait that something has happened. */
export class WakeUp {
  private waiting?: Promise<void>;
  private wake: () => void = () => undefined;

  /** Resolves at the next `fire`. */
  next(): Promise<void> {
    this.waiting ??= new Promise((resolve) => (this.wake = resolve));
    return this.waiting;
  }

  fire(): void {
    this.wake();
    this.waiting = undefined;
  }
}
