/** Callers that wait for something that may come or never come. */
export class Waiters {
  private readonly waiting = new Set<() => void>();

  /** Resolves at the next `wake`, or when `signal` is aborted. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.waiting.delete(finish);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      this.waiting.add(finish);
      signal.addEventListener('abort', finish, { once: true });
    });
  }

  wake(): void {
    for (const finish of [...this.waiting]) finish();
  }
}
