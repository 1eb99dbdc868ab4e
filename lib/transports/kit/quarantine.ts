import { createHash } from 'node:crypto';
import type { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { WireMessage } from '../../message/message.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import type { SupervisedConnection } from './supervised-connection.js';

/** So often a link must end while a message is the only one on it before that is refused: where the broker said why, … */
const REFUSALS = 2;
/** … and where nobody did. */
const ENDINGS = 5;
/** With more messages than these the one that has been suspected longest is forgotten. */
const MOST_SUSPECTS = 10_000;

/** One message on its way to the broker. */
export interface Sendable {
  readonly outgoing: Outgoing;
}

export interface QuarantineParts<L extends object, S extends Sendable> {
  /** For log lines: `RabbitMQ`. */
  readonly broker: string;
  readonly environment: TransportEnvironment;
  /** A connection that nothing else goes over. */
  connect(): SupervisedConnection<L>;
  /** Sends what is then the only message on the link. Resolves with its fate, at the latest when the link ends. */
  send(connection: SupervisedConnection<L>, link: L, sendable: S): Promise<PublishResult>;
  /** What the sender is told. `reason`: why the broker ended the link. */
  refusal(reason: string): MessagingError;
}

type Tell<S> = (sendable: S, result: PublishResult) => void;

interface QuarantinedSend<S> {
  readonly sendable: S;
  readonly tell: Tell<S>;
}

/**
 * What was in flight when the broker ended the link over something that it was sent. It does not say over what, so each is
 * sent again alone, on a connection of its own: everything else flows on meanwhile, and one message ends no link but that.
 *
 * Until a message is acquitted, all that is published with its id goes the same way: its retry, its dead letter, or the
 * message itself once more.
 */
export class Quarantine<L extends object, S extends Sendable> {
  private readonly held: QuarantinedSend<S>[] = [];
  private readonly suspects = new Suspects();
  private connection?: SupervisedConnection<L>;
  private closed = false;

  constructor(private readonly parts: QuarantineParts<L, S>) {}

  /** The message is to be sent alone. */
  isFor(message: WireMessage): boolean {
    return this.suspects.has(message);
  }

  /** All that was in flight when the link ended. Tells the result of each, once. */
  takeAll(sendables: readonly S[], tell: Tell<S>): void {
    if (sendables.length === 0) return;
    const { broker } = this.parts;
    this.warn(
      `${broker} closed the connection over one of ${sendables.length} messages in flight: they are sent one by one`,
    );
    for (const sendable of sendables) this.take(sendable, tell);
  }

  /** Sends a message alone. Tells the result, once. */
  take(sendable: S, tell: Tell<S>): void {
    this.suspects.add(sendable.outgoing.message);
    this.held.push({ sendable, tell });
    if (!this.connection) void this.work();
  }

  /** What is still held fails. */
  async close(): Promise<void> {
    this.closed = true;
    await this.connection?.close();
  }

  private async work(): Promise<void> {
    const connection = (this.connection = this.parts.connect());
    // Whatever is misconfigured now, the connection of all others says so.
    if (!this.closed) await connection.start().catch(() => {});
    for (let next = this.held.shift(); next; next = this.held.shift()) {
      const result = await this.trial(connection, next.sendable);
      // What was not taken for a passing reason may be guilty all the same.
      if (result?.status === 'confirmed' || result?.status === 'unroutable')
        this.suspects.delete(next.sendable.outgoing.message);
      if (result) next.tell(next.sendable, result);
      else this.failAll([next, ...this.held.splice(0)], connection.reason);
    }
    this.connection = undefined;
    await connection.close();
  }

  /** Undefined: there is no connection. */
  private async trial(connection: SupervisedConnection<L>, sendable: S): Promise<PublishResult | undefined> {
    const { parts } = this;
    const guilt = new Guilt();
    for (;;) {
      const link = connection.current ?? (await this.opened(connection));
      if (!link) return undefined;
      const result = await parts.send(connection, link, sendable);
      const { ending } = connection;
      if (result.status !== 'failed' || ending === undefined || ending === 'destroyed' || this.closed) return result;
      const reason = guilt.ended(connection.reason, ending === 'refused');
      if (reason === undefined) continue;
      this.warn(`${parts.broker} closes the connection over message ${sendable.outgoing.message.id}: it is refused`);
      return { status: 'refused', error: parts.refusal(reason) };
    }
  }

  private failAll(held: readonly QuarantinedSend<S>[], reason: string): void {
    const error = new NotConnectedError(`Not connected to ${this.parts.broker}: ${reason}`);
    for (const { sendable, tell } of held) tell(sendable, { status: 'failed', error });
  }

  private async opened(connection: SupervisedConnection<L>): Promise<L | undefined> {
    if (this.closed) return undefined;
    const { clock, confirmTimeout, reconnect } = this.parts.environment;
    const giveUp = new AbortController();
    const cancel = clock.after(reconnect.max + confirmTimeout, () => giveUp.abort(), { background: true });
    await connection.whenOpen(giveUp.signal);
    cancel();
    return connection.current;
  }

  private warn(message: string): void {
    this.parts.environment.onEvent({ type: 'warning', message });
  }
}

/** Whether links end over a message that was alone on each of them. */
export class Guilt {
  private endings = 0;
  private refusal?: string;

  /** A link ended; `refused`: the broker said that it did so over what it was sent. The reason once the message is guilty. */
  ended(reason: string, refused: boolean): string | undefined {
    if (refused) this.refusal = reason;
    if (++this.endings < (this.refusal === undefined ? ENDINGS : REFUSALS)) return undefined;
    return this.refusal ?? reason;
  }
}

/** Messages by their id, which copies have as well; without one by the body, since a dead letter is given an id. */
class Suspects {
  private readonly ids = new Set<string>();
  private readonly bodies = new Set<string>();

  has({ id, body }: WireMessage): boolean {
    return this.ids.has(id) || (this.bodies.size > 0 && this.bodies.has(digestOf(body)));
  }

  add({ id, body }: WireMessage): void {
    const [keys, key] = id === '' ? [this.bodies, digestOf(body)] : [this.ids, id];
    keys.delete(key);
    keys.add(key);
    if (keys.size > MOST_SUSPECTS) keys.delete(keys.values().next().value!);
  }

  delete({ id, body }: WireMessage): void {
    this.ids.delete(id);
    if (this.bodies.size > 0) this.bodies.delete(digestOf(body));
  }
}

function digestOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('base64');
}
