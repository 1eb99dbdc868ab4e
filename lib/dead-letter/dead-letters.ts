import type { Clock } from '../clock/clock.js';
import { brand } from '../errors/brand.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys } from '../errors/option-checks.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import {
  allDeadLetters,
  deleteDeadLetters,
  type PublisherDeadLetter,
  type PublisherDeadLetters,
} from '../publisher/publisher-dead-letters.js';
import type { Delivery } from '../transport/delivery.js';
import { type QueueOperations, queuesOf } from '../transport/queue-operations.js';
import type { Transport } from '../transport/transport.js';
import type { ArchiveSearch } from './archive-search.js';
import { ArchiveSource } from './archive-source.js';
import type { ArchiveQuery, DeadLetterArchive } from './dead-letter-archive.js';
import { type DeadLetter, readDeadLetter, readPublisherDeadLetter } from './dead-letter.js';
import {
  compileSelection,
  type DeadLetterMatcher,
  type DeadLetterPage,
  type DeadLetterSelection,
  hasCondition,
} from './dead-letter-selection.js';
import { PublisherSource } from './publisher-source.js';
import { QueueSource } from './queue-source.js';
import { Redrive } from './redrive.js';
import type { RedriveSource } from './redrive-source.js';
import { type DeadLetterChange, type RedriveOptions, type RedriveResult, resolveRedrive } from './redrive-options.js';

export interface DeadLettersParts {
  readonly transport: Transport;
  readonly publishers: PublisherDeadLetters;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  /** The dead-letter queues of this process's subscriptions, by the name of the subscription. */
  readonly queues: () => ReadonlyMap<string, readonly string[]>;
  /** Something was redriven or deleted. */
  readonly onChange: () => void;
  readonly archive?: ArchiveSearch;
}

/** Where dead letters are. @internal */
export interface DeadLetterPlaces {
  readonly queues: Iterable<string>;
  readonly publisher: boolean;
  /** What of the archive: undefined, nothing. */
  readonly archive?: ArchiveQuery;
}

/** Of the publisher's own. */
const DELETED_TOGETHER = 100;

/** Where the broker's queues cannot be looked into. */
export const DEAD_LETTERS_UNSEEN =
  'their dead letters can be seen, counted, redriven and deleted in an archive only. Give the option «deadLetters.archive»';

/** What is done with a selected message: true takes it out of its queue. */
type Visit = (deadLetter: DeadLetter, delivery: Delivery) => boolean;

/**
 * Looks into the dead letters of this process's subscriptions, sends them back to be handled again, or deletes them.
 *
 * Reading a queue of RabbitMQ, or of the embedded broker, means taking its messages and giving them back: while it lasts
 * other readers do not see them, and the broker counts a delivery. They stay in order, except where a look into RabbitMQ ends
 * more than 2,000 messages before the end. NATS shows messages without taking them.
 */
export class DeadLetters {
  /** @internal */
  constructor(private readonly parts: DeadLettersParts) {}

  /** The dead letters in the archive. @throws InvalidOptionError where the option `deadLetters.archive` names none */
  get archive(): ArchiveSearch {
    if (!this.parts.archive)
      throw new InvalidOptionError('deadLetters.archive', undefined, 'sqliteDeadLetterArchive({ file })');
    return this.parts.archive;
  }

  /** Undefined without an archive. @internal */
  get archiveStore(): DeadLetterArchive | undefined {
    return this.parts.archive?.store;
  }

  /** The publisher's own, at most `most`. @internal */
  ownLetters(most: number): DeadLetter[] {
    return this.parts.publishers.after(0, most).map(readPublisherDeadLetter);
  }

  /** How many there are, asked of the broker, whose count may lag behind by a moment; by subscription or queue, or all, the publisher's own included. */
  async count(selection: Pick<DeadLetterSelection, 'subscription' | 'queue'> = {}): Promise<number> {
    let count = includesPublisher(selection) ? this.parts.publishers.size : 0;
    for (const queue of this.select(selection)) count += (await this.queues.depth(queue)) ?? 0;
    return count;
  }

  /** The selected ones, oldest first within a queue, a page at a time. @throws InvalidOptionError */
  async list(selection: DeadLetterSelection = {}, page: DeadLetterPage = {}): Promise<DeadLetter[]> {
    knownKeys('page', page, ['limit', 'offset']);
    const { limit = 100, offset = 0 } = page;
    integerBetween('limit', limit, 1, 100_000);
    integerBetween('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    const matches = this.compile(selection);
    const found: DeadLetter[] = [];
    let before = 0;
    const collect = (letter: DeadLetter): false => {
      if (before < offset) before++;
      else found.push(letter);
      return false;
    };
    const enough = (): boolean => found.length >= limit;
    if (includesPublisher(selection)) {
      for (const own of allDeadLetters(this.parts.publishers)) {
        if (enough()) break;
        const letter = readPublisherDeadLetter(own);
        if (matches(letter)) collect(letter);
      }
    }
    await this.visit(this.select(selection), matches, collect, enough);
    return found;
  }

  /** The dead letter with this id. */
  async show(
    id: string,
    selection: Pick<DeadLetterSelection, 'subscription' | 'queue'> = {},
  ): Promise<DeadLetter | undefined> {
    return (await this.list({ ...selection, ids: [id] }, { limit: 1 }))[0];
  }

  /**
   * Sends the selected ones back to the queue they came from, with their id, as a first attempt. Each is taken out of its
   * dead-letter queue only after the broker confirmed the copy; what was under way when the process is killed (at most 50)
   * may be redriven twice, nothing is lost. What it does not come to is where it was, and the same call goes on with it.
   * @throws InvalidOptionError; RedriveInterruptedError when the connection is lost, with what was done until then
   */
  async redrive(selection: DeadLetterSelection = {}, options: RedriveOptions = {}): Promise<RedriveResult> {
    const matches = this.compile(selection);
    const places = { queues: this.select(selection), publisher: includesPublisher(selection) };
    return this.redriveFrom(places, matches, options);
  }

  /** Those that match, from these places. @internal */
  async redriveFrom(
    { queues, publisher, archive }: DeadLetterPlaces,
    matches: DeadLetterMatcher,
    options: RedriveOptions,
  ): Promise<RedriveResult> {
    const resolved = resolveRedrive(options);
    const { publishers, clock, transport } = this.parts;
    const sources: RedriveSource[] = publisher ? [new PublisherSource(publishers, clock)] : [];
    for (const queue of queues) sources.push(new QueueSource(queue, this.queues, clock));
    if (archive) sources.push(new ArchiveSource({ archive: this.archiveStore!, transport, clock, query: archive }));
    try {
      return await new Redrive(this.parts, { sources, matches }, resolved).run();
    } finally {
      this.parts.onChange();
    }
  }

  /** Deletes the selected ones for good. Deleting everything has to be asked for with `{ all: true }`. @throws InvalidOptionError */
  async delete(selection: DeadLetterSelection & { readonly all?: true }): Promise<DeadLetterChange> {
    const matches = this.compile(selection, ['all']);
    if (!selection.all && !hasCondition(selection))
      throw new InvalidOptionError(
        'selection',
        selection,
        'at least one condition (ids, route, reason, error, olderThan, newerThan, headers, where), or all: true',
      );
    const places = { queues: this.select(selection), publisher: includesPublisher(selection) };
    return { done: await this.deleteFrom(places, matches), failed: [] };
  }

  /** Those that match, from queues and the publisher. @returns how many @internal */
  async deleteFrom({ queues, publisher }: DeadLetterPlaces, matches: DeadLetterMatcher): Promise<number> {
    const { publishers, onChange } = this.parts;
    let done = publisher ? deleteOwn(publishers, matches) : 0;
    await this.visit(queues, matches, () => {
      done++;
      return true;
    });
    onChange();
    return done;
  }

  /** @throws UnsupportedError */
  private get queues(): QueueOperations {
    return queuesOf(this.parts.transport, DEAD_LETTERS_UNSEEN);
  }

  private compile(selection: DeadLetterSelection, more: string[] = []): DeadLetterMatcher {
    return compileSelection(selection, this.parts.clock.now(), more);
  }

  /** Shows every message in the selected queues that fits; what `visit` does not take out goes back at the end. */
  private async visit(
    queues: Iterable<string>,
    matches: DeadLetterMatcher,
    visit: Visit,
    enough = (): boolean => false,
  ): Promise<void> {
    for (const queue of queues) {
      if (enough() || (await this.queues.depth(queue)) === undefined) continue;
      const browser = await this.queues.browse(queue);
      try {
        for (let delivery = await browser.next(); delivery; delivery = enough() ? undefined : await browser.next()) {
          const deadLetter = readDeadLetter(delivery.message, queue);
          if (matches(deadLetter) && visit(deadLetter, delivery)) delivery.ack();
        }
      } finally {
        await browser.close();
      }
    }
  }

  private select({ subscription, queue }: DeadLetterSelection): ReadonlySet<string> {
    if (queue !== undefined) return new Set(typeof queue === 'string' ? [queue] : queue);
    const queues = this.parts.queues();
    // Of all there are, those that can be seen; that the others cannot was said at boot.
    if (subscription === undefined) return new Set(this.parts.transport.queues ? [...queues.values()].flat() : []);
    const one = queues.get(subscription);
    if (one === undefined)
      throw new InvalidOptionError(
        'subscription',
        subscription,
        `a subscription with a dead-letter queue: ${[...queues.keys()].join(', ') || 'there is none'}`,
      );
    return new Set(one);
  }
}

brand({ DeadLetters });

/** @returns how many */
function deleteOwn(publishers: PublisherDeadLetters, matches: DeadLetterMatcher): number {
  let deleted = 0;
  let batch: PublisherDeadLetter[] = [];
  for (const own of allDeadLetters(publishers)) {
    if (matches(readPublisherDeadLetter(own))) batch.push(own);
    if (batch.length < DELETED_TOGETHER) continue;
    deleted += deleteDeadLetters(publishers, batch);
    batch = [];
  }
  return batch.length > 0 ? deleted + deleteDeadLetters(publishers, batch) : deleted;
}

function includesPublisher({ subscription, queue }: DeadLetterSelection): boolean {
  return subscription === undefined && queue === undefined;
}
