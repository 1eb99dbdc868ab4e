import type { Msg, Subscription } from '@nats-io/transport-node';
import type { Clock } from '../../../clock/clock.js';
import type { Link } from '../connection/link.js';

const ACK = Buffer.from('+ACK');
/** An ack that has no answer by then is sent again. */
const ANSWER_MS = 2_000;

interface Awaited {
  /** Where the ack goes. */
  readonly to: string;
  readonly answered: (taken: boolean) => void;
  /** By the monotonic clock. */
  readonly since: number;
  sentAt: number;
}

/** Acks that the server answers, each for itself, over one connection. The inbox is there from the first one on. */
export class AckAnswers {
  private readonly awaited = new Map<string, Awaited>();
  private readonly prefix: string;
  private subscription: Subscription | undefined;
  private number = 0;

  constructor(
    private readonly link: Link,
    private readonly clock: Clock,
    /** How long the server keeps a message for us; then another may have it. */
    private readonly ackWait: number,
    /** An ack has its answer. */
    private readonly settled: () => void,
  ) {
    this.prefix = `${link.inbox()}.`;
  }

  /** How many are awaited. */
  get size(): number {
    return this.awaited.size;
  }

  /** Acks; resolves with whether the server has taken it. */
  ack(to: string): Promise<boolean> {
    this.subscription ??= this.link.connection.subscribe(`${this.prefix}*`, {
      callback: (error, message) => {
        if (!error) this.answered(message);
      },
    });
    return new Promise((answered) => {
      const number = String(++this.number);
      const one = { to, answered, since: this.clock.monotonic(), sentAt: 0 };
      this.awaited.set(number, one);
      this.send(number, one);
    });
  }

  /** Asks again for what has no answer, until its lease is over. */
  tick(): void {
    const now = this.clock.monotonic();
    for (const [number, one] of this.awaited) {
      if (now - one.since > this.ackWait) this.answer(number, false);
      else if (now - one.sentAt >= ANSWER_MS) this.send(number, one);
    }
  }

  /** The connection is gone, or the consumer is: nobody knows what became of the rest. */
  end(): void {
    this.subscription?.unsubscribe();
    const unknown = [...this.awaited.values()];
    this.awaited.clear();
    for (const { answered } of unknown) answered(false);
  }

  private send(number: string, one: Awaited): void {
    const { connection } = this.link;
    one.sentAt = this.clock.monotonic();
    if (!connection.isClosed()) connection.publish(one.to, ACK, { reply: this.prefix + number });
  }

  /** A status instead of an answer says that nobody takes acks there: the consumer is gone. */
  private answered({ subject, headers }: Msg): void {
    this.answer(subject.slice(this.prefix.length), (headers?.code ?? 0) === 0);
  }

  private answer(number: string, taken: boolean): void {
    const one = this.awaited.get(number);
    if (!one) return;
    this.awaited.delete(number);
    one.answered(taken);
    this.settled();
  }
}
