import type { Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { MessagingError } from '../errors/messaging-error.js';
import { integerBetween } from '../errors/option-checks.js';
import { type Headers, header } from '../message/headers.js';
import { newMessageId } from '../message/message-id.js';
import {
  allDeadLetters,
  type PublisherDeadLetter,
  type PublisherDeadLetters,
} from '../publisher/publisher-dead-letters.js';
import type { Delivery } from '../transport/delivery.js';
import type { Outgoing, PublishResult } from '../transport/outgoing.js';
import type { Transport } from '../transport/transport.js';
import { type DeadLetter, readDeadLetter } from './dead-letter.js';

/** Which dead letters are meant. All conditions must hold; none given means all. */
export interface DeadLetterSelection {
  /** A subscription of this process, by its name (its route, where it has no `name`). Default: all of them, and the publisher's own. */
  readonly subscription?: string;
  /** A dead-letter queue by its name, whoever's it is. */
  readonly queue?: string;
  readonly ids?: readonly string[];
  readonly route?: string;
  readonly reason?: string;
  /** Any further condition. */
  readonly where?: (deadLetter: DeadLetter) => boolean;
}

/** What `redrive` and `delete` did. */
export interface DeadLetterChange {
  /** Redriven or deleted. */
  readonly done: number;
  /** Selected, but kept because the redrive could not be confirmed. */
  readonly failed: readonly { readonly id: string; readonly error: MessagingError }[];
}

/** What is done with a selected message: true takes it out of its queue. */
type Visit = (deadLetter: DeadLetter, delivery: Delivery) => boolean | Promise<boolean>;

/**
 * Looks into the dead letters of this process's subscriptions, sends them back to be handled again, or deletes them.
 *
 * Reading a broker's queue means taking its messages and giving them back: they stay in order, but while it lasts other
 * readers do not see them, and the broker counts a redelivery.
 */
export class DeadLetters {
  /** @internal */
  constructor(
    private readonly transport: Transport,
    private readonly publishers: PublisherDeadLetters,
    private readonly clock: Clock,
    private readonly queues: () => ReadonlyMap<string, readonly string[]>,
    private readonly onChange: () => void,
  ) {}

  /** How many there are, asked of the broker, whose count may lag behind by a moment; by subscription or queue, or all, the publisher's own included. */
  async count(selection: Pick<DeadLetterSelection, 'subscription' | 'queue'> = {}): Promise<number> {
    let count = this.includesPublisher(selection) ? this.publishers.size : 0;
    for (const queue of this.select(selection)) count += (await this.transport.depth(queue)) ?? 0;
    return count;
  }

  /** The selected ones, oldest first within a queue; at most `limit` (default 100) after the first `offset` (default 0). */
  async list(selection: DeadLetterSelection = {}, { limit = 100, offset = 0 } = {}): Promise<DeadLetter[]> {
    integerBetween('limit', limit, 1, 100_000);
    integerBetween('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    const found: DeadLetter[] = [];
    const enough = limit + offset;
    for (const letter of this.selectedOfPublisher(selection)) {
      if (found.length >= enough) break;
      found.push(readPublisherDeadLetter(letter));
    }
    const collect: Visit = (deadLetter) => {
      found.push(deadLetter);
      return false;
    };
    await this.visit(selection, collect, () => found.length >= enough);
    return found.slice(offset, enough);
  }

  /** The one with this id. */
  async show(id: string): Promise<DeadLetter | undefined> {
    return (await this.list({ ids: [id] }, { limit: 1 }))[0];
  }

  /**
   * Sends the selected ones back to the queue they came from, with their id, as a first attempt. Each is taken out of its
   * dead-letter queue only after the broker confirmed the copy; one killed in between is redriven twice, never lost.
   */
  async redrive(selection: DeadLetterSelection = {}): Promise<DeadLetterChange> {
    const failed: { id: string; error: MessagingError }[] = [];
    let done = 0;
    const send = async (id: string, outgoing: Outgoing): Promise<boolean> => {
      const result = await this.publish(outgoing);
      if (result.status === 'confirmed') done++;
      else failed.push({ id, error: result.error });
      return result.status === 'confirmed';
    };
    for (const entry of this.selectedOfPublisher(selection)) {
      const { message, to } = entry;
      const again = { ...message, headers: clearedHeaders(message.headers) as Outgoing['message']['headers'] };
      if (await send(message.id, { to, message: again, dedupeId: newMessageId(this.clock.now()), mandatory: true }))
        this.publishers.delete(entry);
    }
    // One that was redriven and failed again meanwhile is left where it is.
    const sent = new Set<string>();
    await this.visit(selection, async (deadLetter, { message }) => {
      const { id } = deadLetter;
      if (sent.has(id) || !(await send(id, this.redriven(deadLetter, message)))) return false;
      if (id !== '') sent.add(id);
      return true;
    });
    this.onChange();
    return { done, failed };
  }

  /** Deletes the selected ones for good. Deleting everything has to be asked for with `{ all: true }`. */
  async delete(selection: DeadLetterSelection & { readonly all?: true }): Promise<DeadLetterChange> {
    if (!selection.all && !selection.ids && !selection.route && !selection.reason && !selection.where) {
      throw new InvalidOptionError(
        'selection',
        selection,
        'at least one of ids, route, reason and where, or all: true',
      );
    }
    let done = 0;
    for (const entry of this.selectedOfPublisher(selection)) done += Number(this.publishers.delete(entry));
    await this.visit(selection, () => {
      done++;
      return true;
    });
    this.onChange();
    return { done, failed: [] };
  }

  /** Shows every message in the selected queues that fits; what `visit` does not take out goes back at the end. */
  private async visit(selection: DeadLetterSelection, visit: Visit, enough = (): boolean => false): Promise<void> {
    const matches = matcher(selection);
    for (const queue of this.select(selection)) {
      if (enough() || (await this.transport.depth(queue)) === undefined) continue;
      const browser = await this.transport.browse(queue);
      try {
        for (let delivery = await browser.next(); delivery; delivery = enough() ? undefined : await browser.next()) {
          const deadLetter = readDeadLetter(delivery.message, queue);
          if (matches(deadLetter) && (await visit(deadLetter, delivery))) delivery.ack();
        }
      } finally {
        await browser.close();
      }
    }
  }

  private redriven({ origin, deadLetterQueue, route }: DeadLetter, message: Outgoing['message']): Outgoing {
    const headers = clearedHeaders(message.headers);
    headers[header.attempt] = 1;
    return {
      to: origin.queue === undefined ? { kind: 'route', route } : { kind: 'queue', queue: origin.queue },
      message: { ...message, route, headers: headers as Outgoing['message']['headers'] },
      dedupeId: `${message.id}:redrive:${deadLetterQueue}:${newMessageId(this.clock.now())}`,
      mandatory: true,
    };
  }

  private publish(outgoing: Outgoing): Promise<PublishResult> {
    return new Promise((resolve) => this.transport.publish([outgoing], (_, result) => resolve(result)));
  }

  private select({ subscription, queue }: DeadLetterSelection): ReadonlySet<string> {
    if (queue !== undefined) return new Set([queue]);
    const queues = this.queues();
    if (subscription === undefined) return new Set([...queues.values()].flat());
    const one = queues.get(subscription);
    if (one === undefined)
      throw new InvalidOptionError(
        'subscription',
        subscription,
        `a subscription with a dead-letter queue: ${[...queues.keys()].join(', ') || 'there is none'}`,
      );
    return new Set(one);
  }

  private includesPublisher({ subscription, queue }: DeadLetterSelection): boolean {
    return subscription === undefined && queue === undefined;
  }

  private *selectedOfPublisher(selection: DeadLetterSelection): Generator<PublisherDeadLetter> {
    if (!this.includesPublisher(selection)) return;
    const matches = matcher(selection);
    for (const letter of allDeadLetters(this.publishers)) if (matches(readPublisherDeadLetter(letter))) yield letter;
  }
}

/** What a redriven message no longer says of itself. */
const CLEARED = [
  header.reason,
  header.errorClass,
  header.errorCode,
  header.errorMessage,
  header.errorStack,
  header.originTime,
  header.originHost,
  header.expiresAt,
  header.notBefore,
];

function clearedHeaders(from: Headers): Record<string, unknown> {
  const headers: Record<string, unknown> = { ...from };
  for (const name of CLEARED) delete headers[name];
  return headers;
}

function matcher({ ids, route, reason, where }: DeadLetterSelection): (deadLetter: DeadLetter) => boolean {
  const wanted = ids && new Set(ids);
  return (deadLetter) =>
    (!wanted || wanted.has(deadLetter.id)) &&
    (route === undefined || deadLetter.route === route) &&
    (reason === undefined || deadLetter.reason === reason) &&
    (where === undefined || where(deadLetter));
}

function readPublisherDeadLetter({ message, reason, error, attempts, time }: PublisherDeadLetter): DeadLetter {
  return {
    id: message.id,
    deadLetterQueue: undefined,
    route: message.route,
    body: message.body,
    headers: message.headers,
    reason,
    error: { class: error.name, code: error.code, message: error.message },
    attempts,
    time,
    origin: {},
  };
}
