import { requestHeader, stringHeader } from '../message/headers.js';
import type { WireMessage } from '../message/message.js';

/** The replies to one request, until as many came as are wanted, or it has ended. */
export class Gathering {
  private readonly replies: WireMessage[] = [];
  private readonly responders = new Set<string>();
  private taken = 0;
  private over = false;
  private problem: { readonly error: unknown } | undefined;
  private wake = (): void => {};

  constructor(private readonly max: number) {}

  /** False: its responder has replied already. One that dies before its ack is followed by another of the same queue. */
  take(reply: WireMessage, end: () => void): boolean {
    const responder = stringHeader(reply.headers, requestHeader.responder);
    if (responder !== undefined) {
      if (this.responders.has(responder)) return false;
      this.responders.add(responder);
    }
    this.replies.push(reply);
    if (++this.taken === this.max) end();
    this.wake();
    return true;
  }

  /** No more come; `problem`: why, if that is an error. */
  end(problem?: { readonly error: unknown }): void {
    this.over = true;
    this.problem = problem;
    this.wake();
  }

  /** Undefined: all there are. Rejects, after those that came, with the error that has ended it. */
  async next(): Promise<WireMessage | undefined> {
    while (this.replies.length === 0 && !this.over) await new Promise<void>((resolve) => (this.wake = resolve));
    const reply = this.replies.shift();
    if (reply === undefined && this.problem) throw this.problem.error;
    return reply;
  }
}
