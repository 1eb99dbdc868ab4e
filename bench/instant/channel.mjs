import { MessageFrames } from './message-frames.mjs';
import { method } from './methods.mjs';
import { longlong, methodFrame, octet } from './wire.mjs';

/** What a consumer without a prefetch gets at most. */
const NO_PREFETCH = 1_000;

/** One channel: counts what is published on it, and keeps its consumers' prefetch full. */
export class InstantChannel {
  #number;
  #offers;
  #confirms = false;
  #published = 0;
  #confirmed = 0;
  #bodyLeft = 0;
  #prefetch = 0;
  #consumers = new Map();
  /** Delivery tag → consumer, in the order of the tags. */
  #unacked = new Map();
  #lastTag = 0;

  constructor(number, offers) {
    this.#number = number;
    this.#offers = offers;
  }

  confirmSelect() {
    this.#confirms = true;
  }

  qos(count) {
    this.#prefetch = count;
  }

  consume(queue, tag) {
    const message = this.#offers.get(queue);
    const consumer = { limit: this.#prefetch || NO_PREFETCH, unacked: 0 };
    if (message) consumer.frames = new MessageFrames(this.#number, tag, message);
    this.#consumers.set(tag, consumer);
  }

  cancel(tag) {
    this.#consumers.delete(tag);
  }

  /** The header of a published message was read. */
  header(bodySize) {
    this.#bodyLeft = bodySize;
    if (bodySize === 0) this.#published++;
  }

  body(size) {
    this.#bodyLeft -= size;
    if (this.#bodyLeft === 0) this.#published++;
  }

  /** A nack or reject counts as well: there is always a next message. */
  settle(tag, multiple) {
    if (!multiple) return this.#settle(tag);
    for (const earlier of this.#unacked.keys()) {
      if (earlier > tag && tag !== 0) break;
      this.#settle(earlier);
    }
  }

  /** What this channel has to say after everything that came in one chunk: one confirm, and further deliveries. */
  respond(write) {
    if (this.#confirms && this.#published > this.#confirmed) write(this.#confirm());
    for (const consumer of this.#consumers.values()) {
      const room = consumer.limit - consumer.unacked;
      if (consumer.frames && room > 0) write(this.#deliver(consumer, room));
    }
  }

  #confirm() {
    const multiple = this.#published > this.#confirmed + 1;
    this.#confirmed = this.#published;
    return methodFrame(this.#number, method.ack, longlong(this.#confirmed), octet(multiple ? 1 : 0));
  }

  #deliver(consumer, count) {
    const bytes = consumer.frames.copies(count, this.#lastTag + 1);
    for (let at = 0; at < count; at++) this.#unacked.set(++this.#lastTag, consumer);
    consumer.unacked += count;
    return bytes;
  }

  #settle(tag) {
    const consumer = this.#unacked.get(tag);
    if (!consumer) return;
    this.#unacked.delete(tag);
    consumer.unacked--;
  }
}
