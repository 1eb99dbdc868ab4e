import type { MessagingError } from '../../../errors/messaging-error.js';
import { CONFIRMED, type PublishResult } from '../../../transport/outgoing.js';
import type { TransportEnvironment } from '../../../transport/transport.js';
import type { Declarations, DelayRoute } from '../topology/declarations.js';
import { PublishLine, type LineListeners } from './publish-line.js';
import type { RabbitmqQuarantine } from './quarantine.js';
import type { Sending } from './sending.js';
import type { RabbitmqConnection } from '../connection/connection.js';
import { Suspects } from './suspects.js';

/**
 * Two lines: one for all that is well, and one for destinations that did not confirm in time. A confirm timeout costs the
 * channel, and with it a copy of everything in flight; so what goes to such a destination leaves the first line, and only
 * one message at a time probes it on the second, until one is confirmed. All others flow on.
 */
export class PublishLinePair {
  /** Set by the publisher. */
  resolved: (entry: Sending, result: PublishResult) => void = () => {};
  private readonly suspects: Suspects;
  private readonly main: PublishLine;
  /** Opened with the first suspect. */
  private probing?: PublishLine;
  private blocked = false;

  constructor(
    private readonly connection: RabbitmqConnection,
    private readonly quarantine: RabbitmqQuarantine,
    private readonly declarations: Declarations,
    private readonly environment: TransportEnvironment,
  ) {
    this.suspects = new Suspects(environment.clock);
    this.main = this.line({
      resolved: (entry, result) => this.resolved(entry, result),
      connected: () => environment.onEvent({ type: 'connected' }),
      disconnected: (reason) => environment.onEvent({ type: 'disconnected', reason }),
    });
  }

  /** Why nothing can be sent now; undefined when it can. */
  get obstacle(): string | undefined {
    return this.main.obstacle;
  }

  /** Why nothing can be sent there now; undefined when it can. */
  obstacleTo(exchange: string, routingKey: string, delay?: DelayRoute): MessagingError | undefined {
    if (this.suspects.size === 0) return undefined;
    const suspect = this.suspects.of(keyOf(exchange, routingKey, delay));
    return suspect && (!suspect.mayBeProbed || this.probing?.obstacle !== undefined) ? suspect.error : undefined;
  }

  /** Throws what amqplib throws on a message it cannot write, or NotConnectedError. */
  send(entry: Sending): void {
    const suspect = this.suspects.size > 0 ? this.suspects.of(keyOfEntry(entry)) : undefined;
    if (!suspect || !this.probing) return this.main.send(entry);
    this.probing.send(entry);
    suspect.probed = true;
  }

  connectionOpened(): void {
    this.declarations.forget();
    this.main.connectionOpened();
    this.probing?.connectionOpened();
  }

  /** Resolves when the attempt to open the channel of the present connection is over. */
  get attempted(): Promise<void> {
    return this.main.attempted;
  }

  connectionLost(reason: string): void {
    this.main.connectionLost(reason);
    this.probing?.connectionLost(reason);
    // An alarm is told again on the next connection.
    this.setBlocked(false);
  }

  setBlocked(blocked: boolean, reason = ''): void {
    if (this.blocked === blocked) return;
    this.blocked = blocked;
    this.environment.onEvent(blocked ? { type: 'blocked', reason } : { type: 'unblocked' });
    this.main.setBlocked(blocked);
    this.probing?.setBlocked(blocked);
  }

  close(): void {
    this.main.close();
    this.probing?.close();
  }

  private line(listeners: Omit<LineListeners, 'unanswered' | 'exchangeMissing'>): PublishLine {
    return new PublishLine(this.connection, this.quarantine, this.environment, {
      ...listeners,
      unanswered: (entries) => this.unanswered(entries),
      exchangeMissing: (exchange) => this.declarations.exchangeMissing(exchange),
    });
  }

  private unanswered(entries: readonly Sending[]): void {
    const names: string[] = [];
    for (const entry of entries) {
      const key = keyOfEntry(entry);
      const suspect = this.suspects.of(key);
      if (suspect?.probed) suspect.timedOut();
      if (suspect) continue;
      const name = nameOf(entry);
      this.suspects.add(key, name);
      names.push(name);
    }
    if (names.length === 0) return;
    this.warn(names);
    if (this.probing) return;
    this.probing = this.line({
      resolved: (entry, result) => this.probed(entry, result),
      connected: () => {},
      disconnected: () => {},
    });
    this.probing.setBlocked(this.blocked);
    this.probing.connectionOpened();
  }

  private probed(entry: Sending, result: PublishResult): void {
    const key = keyOfEntry(entry);
    const suspect = this.suspects.of(key);
    if (suspect) suspect.probed = false;
    if (result === CONFIRMED) this.suspects.acquit(key);
    this.resolved(entry, result);
  }

  private warn([first, ...others]: readonly string[]): void {
    const more = others.length === 0 ? '' : ` and to ${others.length} more`;
    const message =
      `RabbitMQ did not confirm within ${this.environment.confirmTimeout} ms what was published to ${first}${more}: ` +
      'one message at a time is tried there until it does';
    this.environment.onEvent({ type: 'warning', message });
  }
}

/** Messages with the same key go into the same queues, as far as a publisher can know. */
function keyOf(exchange: string, routingKey: string, delay: DelayRoute | undefined): string {
  return delay ? `${exchange} ${delay.levels[0]}` : `${exchange} ${routingKey}`;
}

function keyOfEntry({ exchange, routingKey, delay }: Sending): string {
  return keyOf(exchange, routingKey, delay);
}

function nameOf({ exchange, routingKey, delay }: Sending): string {
  if (delay) return `the delay level ${delay.levels[0]} of «${exchange}»`;
  return exchange === '' ? `the queue «${routingKey}»` : `«${exchange}» for the route «${routingKey}»`;
}
