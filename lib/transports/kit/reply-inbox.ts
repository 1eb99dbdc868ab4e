import type { CancelTimer, Clock } from '../../clock/clock.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { WireMessage } from '../../message/message.js';
import type { PublishResult } from '../../transport/outgoing.js';
import type { ReplyHandlers, ReplyPath } from '../../transport/reply-path.js';

/** What is told of an address that was taken. */
export interface AddressEvents {
  reply(message: WireMessage): void;
  /** The address serves no longer, though its link may. */
  ended(reason: string): void;
}

/** Before an address is taken again, on a link that is still there. */
const AGAIN_MS = 1_000;

/** The address of this process, taken anew on each link, and on the same where it was lost. */
export abstract class ReplyInbox<L extends object> implements ReplyPath {
  protected link: L | undefined;
  private clock: Clock | undefined;
  private handlers: ReplyHandlers | undefined;
  private address: string | undefined;
  private cancelAgain: CancelTimer | undefined;

  async open(handlers: ReplyHandlers): Promise<void> {
    this.handlers = handlers;
    if (this.link) await this.take(this.link);
  }

  abstract reply(address: string, message: WireMessage): Promise<PublishResult>;

  up(link: L, clock: Clock): void {
    this.link = link;
    this.clock = clock;
    if (this.handlers) void this.take(link);
  }

  down(reason: string): void {
    this.link = undefined;
    this.cancelAgain?.();
    this.lost(reason);
  }

  /** Takes an address on a link. */
  protected abstract receive(link: L, on: AddressEvents): Promise<string>;

  protected notConnected(reason = 'There is no connection to the broker'): PublishResult {
    return { status: 'failed', error: new NotConnectedError(reason) };
  }

  private async take(link: L): Promise<void> {
    let over = false;
    const ended = (reason: string): void => {
      if (over || this.link !== link) return;
      over = true;
      this.lost(reason);
      this.cancelAgain = this.clock?.after(AGAIN_MS, () => void this.take(link), { background: true });
    };
    try {
      const address = await this.receive(link, { reply: (message) => over || this.handlers?.reply(message), ended });
      if (over || this.link !== link) return;
      this.address = address;
      this.handlers?.opened(address);
    } catch (error) {
      ended((error as Error).message);
    }
  }

  private lost(reason: string): void {
    if (this.address === undefined) return;
    this.address = undefined;
    this.handlers?.lost(reason);
  }
}
