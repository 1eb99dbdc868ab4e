import { InvalidOptionError } from '../errors/configuration-errors.js';
import { MessagingError } from '../errors/messaging-error.js';
import { checkShortText } from '../errors/option-checks.js';
import { PublishFailedError, PublisherClosedError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Destination } from '../transport/outgoing.js';
import type { Dispatcher } from './dispatcher.js';
import type { Emitter } from './emitter.js';
import { NO_OPTIONS, type MessageFactory } from './message-factory.js';
import type { Publication } from './publication.js';
import { composePublish, type PublishMiddleware, type PublishNext, type PublishRequest } from './publish-middleware.js';
import type { PublishEntry, PublishOptions } from './publish-options.js';
import type { EntryResult, Receipt } from './receipt.js';

type RouteLike = string | { readonly route: string };

/**
 * Publishes messages. Injectable; one per connection.
 *
 * A publish resolves with the truth (`confirmed` by the broker, or `queued` in the publisher retry queue) and rejects
 * only when trying again cannot help.
 */
export class Publisher {
  private readonly send: PublishNext | undefined;
  private closed = false;

  /** @internal */
  constructor(
    private readonly factory: MessageFactory,
    private readonly dispatcher: Dispatcher,
    private readonly emitter: Emitter,
    middleware: readonly PublishMiddleware[],
  ) {
    this.send = middleware.length > 0 ? composePublish(middleware, (request) => this.sendNow(request)) : undefined;
  }

  /**
   * Publishes `body` on `route`, to every queue bound for it.
   * @throws UnroutableError, MessageTooLargeError, SerializationError, RetryQueueFullError, PublisherClosedError,
   * InvalidOptionError, PublishRefusedError (as rejections)
   */
  publish(route: RouteLike, body: unknown, options: PublishOptions = NO_OPTIONS): Promise<Receipt> {
    // Not an async function: that would put a second promise around the receipt's.
    try {
      const name = routeName(route);
      return this.send
        ? this.send({ route: name, body, options })
        : this.submit(this.prepare(name, undefined, body, options));
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new PublishFailedError(errorMessage(error)));
    }
  }

  /** Sends `body` to one queue by its name, past all routing. Rejects like `publish`. */
  async sendToQueue(queue: string, body: unknown, options: PublishOptions = NO_OPTIONS): Promise<Receipt> {
    checkShortText('queue', queue);
    return this.send
      ? this.send({ route: queue, queue, body, options })
      : this.submit(this.prepare(queue, queue, body, options));
  }

  /** Publishes many as one batch. One result per entry, in their order; it never rejects for an entry. */
  async publishMany(entries: readonly PublishEntry[]): Promise<EntryResult[]> {
    const given: unknown = entries;
    if (!Array.isArray(given)) throw new InvalidOptionError('entries', given, 'an array of { route, body, … }');
    const batch: Publication[] = [];
    const results = entries.map((entry) => this.publishEntry(entry, batch));
    this.dispatcher.submit(batch);
    return Promise.all(results);
  }

  /**
   * Publishes without anyone waiting for the result. True: taken; a failure is counted and logged. False: not taken,
   * because 1,024 emitted messages have no result yet (see `drained`) or the publisher is closed.
   */
  emit(route: RouteLike, body: unknown, options: PublishOptions = NO_OPTIONS): boolean {
    if (this.closed || this.emitter.full) {
      this.emitter.fail(this.closed ? 'the publisher is closed' : 'too many emitted messages have no result yet');
      return false;
    }
    this.emitter.watch(this.publish(route, body, options));
    return true;
  }

  /** Resolves when `emit` takes messages (again). */
  drained(): Promise<void> {
    return this.emitter.drained();
  }

  /** Messages that `emit` did not take or could not send, since the start. */
  get emitFailures(): number {
    return this.emitter.failures;
  }

  /** From now on every publish is rejected with PublisherClosedError. @internal */
  close(): void {
    this.closed = true;
  }

  private async publishEntry(entry: PublishEntry, batch: Publication[]): Promise<EntryResult> {
    let { id = '' } = entry ?? {};
    try {
      const { route, body, ...options } = entry;
      if (this.send) return await this.send({ route: routeName(route), body, options });
      const publication = this.prepare(routeName(route), undefined, body, options);
      ({ id } = publication.message);
      const receipt = publication.receipt();
      batch.push(publication);
      return await receipt;
    } catch (error) {
      return { id, outcome: 'rejected', error: asMessagingError(error) };
    }
  }

  private sendNow({ route, queue, body, options }: PublishRequest): Promise<Receipt> {
    return this.submit(this.prepare(route, queue, body, options));
  }

  private prepare(route: string, queue: string | undefined, body: unknown, options: PublishOptions): Publication {
    if (this.closed) throw new PublisherClosedError('The publisher is closed: the application is shutting down');
    return this.factory.create(destination(route, queue, options?.topic), route, body, options);
  }

  private submit(publication: Publication): Promise<Receipt> {
    const receipt = publication.receipt();
    this.dispatcher.submitOne(publication);
    return receipt;
  }
}

function destination(route: string, queue: string | undefined, topic: string | undefined): Destination {
  if (queue !== undefined) return { kind: 'queue', queue };
  return topic === undefined
    ? { kind: 'route', route }
    : { kind: 'route', route, topic: checkShortText('topic', topic) };
}

function routeName(route: RouteLike): string {
  return checkShortText('route', typeof route === 'object' && route !== null ? route.route : route);
}

function asMessagingError(error: unknown): MessagingError {
  return error instanceof MessagingError
    ? error
    : new PublishFailedError(`A publish middleware failed: ${errorMessage(error)}`, { cause: error });
}
