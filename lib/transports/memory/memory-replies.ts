import { randomUUID } from 'node:crypto';
import { MessageTooLargeError, NotConnectedError } from '../../errors/publish-errors.js';
import { isolate } from '../../message/isolate.js';
import type { WireMessage } from '../../message/message.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import type { ReplyHandlers, ReplyPath } from '../../transport/reply-path.js';

const PREFIX = 'reply:';

/** The addresses of a memory broker at which somebody takes replies. */
export type ReplyAddresses = Map<string, (message: WireMessage) => void>;

/** Replies of one client of a memory broker: handed over at once, kept nowhere. */
export class MemoryReplies implements ReplyPath {
  private handlers: ReplyHandlers | undefined;
  private address: string | undefined;
  private connected = false;

  constructor(
    private readonly addresses: ReplyAddresses,
    private readonly maxBytes: number,
    /** For addresses that are queues. */
    private readonly publish: (outgoing: Outgoing) => Promise<PublishResult>,
  ) {}

  async open(handlers: ReplyHandlers): Promise<void> {
    this.handlers = handlers;
    if (this.connected) this.take(handlers);
  }

  async reply(address: string, message: WireMessage): Promise<PublishResult> {
    const { id, body } = message;
    if (!this.connected)
      return { status: 'failed', error: new NotConnectedError('There is no connection to the broker') };
    const taken = this.addresses.get(address);
    if (!taken) return this.publish({ to: { kind: 'queue', queue: address }, message, dedupeId: id, mandatory: true });
    if (body.length > this.maxBytes)
      return {
        status: 'refused',
        error: new MessageTooLargeError(`The reply has ${body.length} bytes; at most ${this.maxBytes} are taken`),
      };
    const own = isolate(message);
    queueMicrotask(() => this.addresses.get(address)?.(own));
    return CONFIRMED;
  }

  async awaited(address: string): Promise<boolean | undefined> {
    return address.startsWith(PREFIX) ? this.addresses.has(address) : undefined;
  }

  up(): void {
    this.connected = true;
    if (this.handlers) this.take(this.handlers);
  }

  down(reason: string): void {
    this.connected = false;
    if (this.address === undefined) return;
    this.addresses.delete(this.address);
    this.address = undefined;
    this.handlers?.lost(reason);
  }

  private take(handlers: ReplyHandlers): void {
    this.address = `${PREFIX}${randomUUID()}`;
    this.addresses.set(this.address, (message) => handlers.reply(message));
    handlers.opened(this.address);
  }
}
