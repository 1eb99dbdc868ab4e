import type { WireMessage } from '../../message/message.js';

/** A message as a schedule sees it: it decides when, it does not settle. */
export interface ScheduledMessage {
  readonly message: WireMessage;
  readonly queue: string;
}

/**
 * Decides which messages of one subscription may be handled now, in one process. What it is given is handed back as it is.
 * None of its methods may wait; one that throws in `admit` or `wait` sends that message to its dead letters.
 */
export interface Schedule<M extends ScheduledMessage = ScheduledMessage> {
  /** A message came. True: its handler is called now. False: it waits, until `next` names it or it is withdrawn. */
  admit(message: M): boolean;
  /** A message came while no handler may start (paused, stopping): it waits. */
  wait(message: M): void;
  /** A message that waits and may be handled now; it counts as admitted. Undefined: none. */
  next(): M | undefined;
  /** The handling of an admitted message is over, whatever its result. */
  end(message: M): void;
  /** The broker took back a message that waits; false: it does not wait here. */
  withdraw(message: M): boolean;
  /** The messages that wait, in the order in which they came. */
  readonly waiting: ReadonlySet<M>;
  /** An admitted message failed and waits for its next call: its slot is free, its turn is not. With `maxHoldMs` only. */
  hold?(message: M): void;
  /** A message that is held may be handled again; `next` will name it. With `maxHoldMs` only. */
  ready?(message: M): void;
}

/** What a schedule is made with. */
export interface ScheduleTools {
  /** The most messages that it will hold at a time. */
  readonly prefetch: number;
  /** The payload of a message. @throws UndecodableMessageError */
  decode(message: WireMessage): unknown;
  /** The key that a message was published with, or that its body says; undefined where it has none. */
  keyOf(message: WireMessage): string | undefined;
}
