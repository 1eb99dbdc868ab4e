/**
 * Tells when the broker has read what was sent on a channel: it reads in order, so the answer to a question that is sent
 * later says so. Those who ask while an answer is awaited share the next question.
 */
export class Fence {
  private asked: Promise<boolean> | undefined;
  private next: Promise<boolean> | undefined;

  constructor(
    private readonly ask: () => Promise<unknown>,
    /** All who asked have their answer. */
    private readonly idle: () => void,
  ) {}

  get busy(): boolean {
    return this.asked !== undefined;
  }

  /** Resolves with whether everything that was sent by now has been read; false when the channel ended before. */
  passed(): Promise<boolean> {
    if (!this.asked) return (this.asked = this.answer());
    return (this.next ??= this.asked.then(() => {
      this.next = undefined;
      return (this.asked = this.answer());
    }));
  }

  private async answer(): Promise<boolean> {
    let read = true;
    try {
      await this.ask();
    } catch {
      read = false;
    }
    if (!this.next) {
      this.asked = undefined;
      this.idle();
    }
    return read;
  }
}
