import type { WireMessage } from '../message/message.js';
import type { PublishResult } from './outgoing.js';

/** How replies travel: past all queues, to whoever waits at an address, stored nowhere. */
export interface ReplyPath {
  /**
   * Takes replies from now on, at an address of this process, again after every reconnect. Called once. Resolves when
   * `opened` was called, or at once while disconnected.
   */
  open(handlers: ReplyHandlers): Promise<void>;
  /**
   * Sends a reply to an address that a message came with, ours or a foreign client's. Resolves with its fate: `confirmed`,
   * it is with the broker; `unroutable`, nobody waits there, where the broker tells; `refused`, the address is none, or this
   * reply can never be sent; `failed`, for a passing reason. It never rejects.
   */
  reply(address: string, message: WireMessage): Promise<PublishResult>;
  /** Whether somebody waits at an address. Undefined, or no such method: the broker does not tell. It never rejects. */
  awaited?(address: string): Promise<boolean | undefined>;
}

export interface ReplyHandlers {
  /** Replies to this address come here, until `lost`. */
  opened(address: string): void;
  /** What is sent to the last address from now on, or is on its way, does not come any more. */
  lost(reason: string): void;
  /** Must not throw. */
  reply(message: WireMessage): void;
}
