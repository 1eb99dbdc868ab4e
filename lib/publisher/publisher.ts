import { brand } from '../errors/brand.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkRoute, checkShortText } from '../errors/option-checks.js';
import { PublishFailedError, PublisherClosedError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import { thrownValue } from '../errors/thrown-value.js';
import { requestHeader } from '../message/headers.js';
import type { BodyOf } from '../message/message-contract.js';
import { isThenable } from '../pipeline/thenable.js';
import type { Telemetry } from '../pipeline/telemetry.js';
import type { Destination } from '../transport/outgoing.js';
import { type BatchLimits, BatchWindow } from './batch-window.js';
import { checkBody } from './body-check.js';
import type { Dispatcher } from './dispatcher.js';
import type { Emitter } from './emitter.js';
import { NO_OPTIONS, type MessageFactory, type Serialized } from './message-factory.js';
import type { Publication } from './publication.js';
import type { PublishBatching } from './publish-batching.js';
import { composePublish, type PublishMiddleware, type PublishNext, type PublishRequest } from './publish-middleware.js';
import { type Contract, requestOf, writtenBy } from './publish-request.js';
import type { PublishEntries, PublishEntry, PublishOptions, RouteLike } from './publish-options.js';
import { rejected, type RejectedEntry, watched } from './entry-result.js';
import type { EntryResult, Receipt } from './receipt.js';
import type { UniquePublishing } from './unique-publishing.js';
import type { LocalTransactionWork, TransactionalSending, TransactionOptions } from './transactional-sending.js';

const NEEDS_RECORDS = 'sqliteTransactionRecords({ file }) or another store, for publishInTransaction';

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
    private readonly middleware: readonly PublishMiddleware[],
    private readonly batchLimits: BatchLimits,
    /** Undefined: every publish goes to the broker at once. */
    private readonly batching?: PublishBatching,
    private readonly telemetry?: Telemetry,
    private readonly transactions?: TransactionalSending,
    private readonly uniques?: UniquePublishing,
  ) {
    this.send = middleware.length > 0 ? composePublish(middleware, (request) => this.sendNow(request)) : undefined;
  }

  /**
   * Publishes `body` on `route`, to every queue bound for it. A body that does not fit the schema of its contract is not
   * sent.
   * @throws UnroutableError, MessageTooLargeError, SerializationError, InvalidPayloadError, RetryQueueFullError,
   * PublisherClosedError, InvalidOptionError, PublishRefusedError (as rejections)
   */
  publish<R extends RouteLike>(route: R, body: BodyOf<R>, options: PublishOptions = NO_OPTIONS): Promise<Receipt> {
    // Not an async function: that would put a second promise around the receipt's.
    try {
      if (options?.unique !== undefined && this.uniques) {
        const { unique, ...rest } = options;
        return this.uniques.publish(unique, rest.id, (id) => this.publish(route, body, { ...rest, id }));
      }
      const name = routeName(route);
      const check = checkBody(route, body);
      const contract = typeof route === 'object' ? route : undefined;
      const written = contract ? writtenBy(contract, options) : options;
      if (check) return this.publishLater(check, name, body, written, contract);
      return this.publishTo(name, body, written, contract);
    } catch (thrown) {
      const error = thrownValue(thrown);
      return Promise.reject(error instanceof Error ? error : new PublishFailedError(errorMessage(error)));
    }
  }

  /**
   * Runs a local transaction, and publishes `body` on `route` if it commits, whatever becomes of this process: what cannot
   * be known after a crash is asked of the method with `@CheckTransaction(route)`. The message is kept before, so that what
   * is wrong with it is told before anything is done.
   *
   * Resolves when the transaction has committed, also where the message waits. Rejects as the local transaction did, if
   * that failed; with TransactionUnknownError where nobody knows yet; and before it began with TransactionRecordError and
   * what `publish` throws.
   */
  async publishInTransaction<R extends RouteLike>(
    route: R,
    body: BodyOf<R>,
    localTx: LocalTransactionWork,
    options: TransactionOptions = {},
  ): Promise<Receipt> {
    const name = routeName(route);
    const { transactions } = this;
    if (!transactions) throw new InvalidOptionError('transactions.store', undefined, NEEDS_RECORDS);
    const timeoutMs = transactions.check(name, localTx, options);
    const { timeout: _, ...publishOptions } = options;
    const own = requestOf(name, route, body, publishOptions);
    const serialized = this.factory.serialize(body, own);
    await checkBody(route, body);
    const send = once((request: PublishRequest) =>
      transactions.send(this.prepareAgain(request, own, serialized), localTx, timeoutMs),
    );
    return composePublish(this.middleware, send)(own);
  }

  /** Sends `body` to one queue by its name, past all routing. Rejects like `publish`. */
  async sendToQueue(
    queue: string,
    body: unknown,
    options: Omit<PublishOptions, 'unique'> = NO_OPTIONS,
  ): Promise<Receipt> {
    checkShortText('queue', queue);
    if (this.send) return this.send({ ...requestOf(queue, undefined, body, options), queue });
    return this.submit(this.prepare(queue, queue, body, options));
  }

  /**
   * Publishes many, in batches as large as fit under way at a time; entries and bodies must stay as they are until it
   * resolves. One result per entry, in their order; it never rejects for an entry, and none fails for their number.
   */
  async publishMany<const R extends readonly RouteLike[]>(entries: PublishEntries<R>): Promise<EntryResult[]> {
    const given: unknown = entries;
    if (!Array.isArray(given)) throw new InvalidOptionError('entries', given, 'an array of { route, body, … }');
    // What was published before goes before.
    this.batching?.flush();
    const window = new BatchWindow(this.batchLimits);
    const results: Promise<EntryResult>[] = [];
    let batch: Publication[] = [];
    for (const entry of entries as readonly PublishEntry[]) {
      const check = this.checkEntry(entry);
      const prepared = (isThenable(check) ? await check : check) ?? this.prepareEntry(entry);
      const bytes = 'bytes' in prepared ? prepared.bytes : 0;
      while (!window.hasRoom(bytes)) {
        this.dispatcher.submit(batch);
        batch = [];
        await window.opened();
      }
      if ('outcome' in prepared) results.push(Promise.resolve(prepared));
      else if ('bytes' in prepared) {
        batch.push(prepared);
        results.push(watched(prepared.receipt(), prepared.message.id, bytes, window));
      } else results.push(watched(this.sendEntry(prepared), prepared.options.id ?? '', bytes, window));
    }
    this.dispatcher.submit(batch);
    return Promise.all(results);
  }

  /**
   * Takes a delayed message back that waits in the publisher retry queue. True: it will not be sent, and its `settled` says
   * PublishCancelledError. False: no such message waits there; one that waits at the broker cannot be taken back.
   * @throws RetryQueueStoreError (as rejection) when that could not be written
   */
  async cancel(id: string): Promise<boolean> {
    this.batching?.flush();
    return this.dispatcher.cancel(checkShortText('id', id));
  }

  /**
   * Publishes without anyone waiting for the result. True: taken; a failure is counted and logged. False: not taken,
   * because 1,024 emitted messages have no result yet (see `drained`) or the publisher is closed.
   */
  emit<R extends RouteLike>(route: R, body: BodyOf<R>, options: PublishOptions = NO_OPTIONS): boolean {
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

  /** Makes what `publish` would send, and hands it to `keep` instead. Rejects as both do. @internal */
  async compose(
    route: RouteLike,
    body: unknown,
    options: PublishOptions,
    keep: (publication: Publication) => Promise<Receipt>,
    queue?: string,
  ): Promise<Receipt> {
    const name = queue === undefined ? routeName(route) : checkShortText('queue', queue);
    const given = requestOf(name, route, body, options);
    const own = queue === undefined ? given : { ...given, queue };
    const serialized = this.send ? undefined : this.factory.serialize(body, own);
    // Whatever need not wait does not: who does not await this has it done before what comes next.
    const check = checkBody(route, body);
    if (check) await check;
    return composePublish(this.middleware, async (request) => keep(this.prepareAgain(request, own, serialized)))(own);
  }

  /**
   * Sends a request: it is confirmed or rejected, for it is worth nothing later. `correlation`: of what it is sent for;
   * `conversation`: it may get several replies, each of which makes its sender wait longer, so that there is no deadline to
   * tell, but where it `gathers` them; with the queue that it goes to by name. Rejects as `publish` does. @internal
   */
  request(
    route: RouteLike,
    body: unknown,
    options: PublishOptions,
    correlation?: string,
    conversation?: { readonly queue?: string; readonly gathers?: true },
  ): Promise<Receipt> {
    const keep = async (publication: Publication): Promise<Receipt> => {
      publication.keptElsewhere = true;
      const headers = publication.message.headers as Record<string, unknown>;
      if (!conversation || conversation.gathers) headers[requestHeader.deadline] = publication.expiresAt;
      if (conversation?.gathers) headers[requestHeader.gather] = 1;
      if (correlation !== undefined) headers[requestHeader.correlation] = correlation;
      return this.submit(publication);
    };
    return this.compose(route, body, options, keep, conversation?.queue);
  }

  /**
   * Sends what may have been sent before under this id, also by another process: it is confirmed or rejected, and a broker
   * that de-duplicates stores it once. @internal
   */
  sendOnce(route: RouteLike, body: unknown, options: PublishOptions & { readonly id: string }): Promise<Receipt> {
    return this.compose(route, body, options, async (publication) => {
      publication.keptElsewhere = true;
      publication.dedupeId = publication.message.id;
      return this.submit(publication);
    });
  }

  /** Sends what is kept elsewhere: it is confirmed, or rejected. @internal */
  relay(publications: readonly Publication[]): Promise<Receipt>[] {
    for (const publication of publications) {
      publication.keptElsewhere = true;
      publication.trace = this.telemetry?.resend(publication);
    }
    const receipts = publications.map((publication) => publication.receipt());
    this.dispatcher.submit(publications);
    return receipts;
  }

  /** From now on every publish is rejected with PublisherClosedError; those before are on their way. @internal */
  close(): void {
    this.closed = true;
    this.uniques?.close();
    this.batching?.flush();
  }

  private publishTo(route: string, body: unknown, options: PublishOptions, contract?: Contract): Promise<Receipt> {
    if (this.send) return this.send(requestOf(route, contract, body, options));
    return this.submit(this.prepare(route, undefined, body, options, undefined, contract));
  }

  /** The caller may change the body while its schema takes time: what is sent is what was given. */
  private publishLater(
    check: Promise<void>,
    route: string,
    body: unknown,
    options: PublishOptions,
    contract?: Contract,
  ): Promise<Receipt> {
    check.catch(() => undefined);
    const own = requestOf(route, contract, body, options);
    if (this.send) return check.then(() => this.send!(own));
    const serialized = this.factory.serialize(body, own);
    return check.then(() => this.submit(this.prepareAgain(own, own, serialized)));
  }

  /** What was serialised before middleware had it, unless that has changed what the bytes are made of. */
  private prepareAgain(request: PublishRequest, own: PublishRequest, serialized: Serialized | undefined): Publication {
    const { route, queue, body, options, contract } = request;
    const same = options === own.options && route === own.route;
    const kept = body === own.body && (same || this.factory.isPlain(options)) ? serialized : undefined;
    return this.prepare(route, queue, body, options, kept, contract);
  }

  /** Why the body does not fit, if so; a promise only where the schema answers with one. */
  private checkEntry(entry: PublishEntry): RejectedEntry | undefined | Promise<RejectedEntry | undefined> {
    try {
      return checkBody(entry?.route, entry?.body)?.then(
        () => undefined,
        (error: unknown) => rejected(entry.id ?? '', error),
      );
    } catch (error) {
      return rejected(entry.id ?? '', error);
    }
  }

  /** What is to be sent, what goes through the middleware, or why the entry is refused. */
  private prepareEntry(entry: PublishEntry): Publication | PublishRequest | RejectedEntry {
    try {
      const { route, body, ...options } = entry;
      const name = routeName(route);
      const contract = typeof route === 'object' ? route : undefined;
      const written = contract ? writtenBy(contract, options) : options;
      if (this.send) return { route: name, body, options: written, ...(contract && { contract }) };
      return this.prepare(name, undefined, body, written, undefined, contract);
    } catch (error) {
      return rejected(entry?.id ?? '', error);
    }
  }

  private async sendEntry(request: PublishRequest): Promise<Receipt> {
    return this.send!(request);
  }

  private sendNow({ route, queue, body, options, contract }: PublishRequest): Promise<Receipt> {
    return this.submit(this.prepare(route, queue, body, options, undefined, contract));
  }

  private prepare(
    route: string,
    queue: string | undefined,
    body: unknown,
    options: PublishOptions,
    serialized?: Serialized,
    contract?: Contract,
  ): Publication {
    if (this.closed) throw new PublisherClosedError('The publisher is closed: the application is shutting down');
    const to = destination(route, queue, options?.topic);
    const trace = this.telemetry?.publish(to, options?.headers);
    if (!trace) return this.factory.create(to, route, body, options, undefined, serialized, contract);
    try {
      const publication = this.factory.create(to, route, body, options, trace, serialized, contract);
      publication.trace = trace;
      return publication;
    } catch (error) {
      trace.failed(error);
      throw error;
    }
  }

  private submit(publication: Publication): Promise<Receipt> {
    const receipt = publication.receipt();
    if (this.batching) this.batching.add(publication);
    else this.dispatcher.submitOne(publication);
    return receipt;
  }
}

brand({ Publisher });

function destination(route: string, queue: string | undefined, topic: string | undefined): Destination {
  if (queue !== undefined) return { kind: 'queue', queue };
  return topic === undefined
    ? { kind: 'route', route }
    : { kind: 'route', route, topic: checkShortText('topic', topic) };
}

/** Most publishes have the route of the one before. */
let lastRoute: string | undefined;

function routeName(route: RouteLike): string {
  const name: unknown = typeof route === 'object' && route !== null ? route.route : route;
  return name === lastRoute && lastRoute !== undefined ? lastRoute : (lastRoute = checkRoute('route', name));
}

/** A middleware that tries again must not run a transaction twice. */
function once(send: PublishNext): PublishNext {
  let begun = false;
  return async (request) => {
    if (begun) throw new InvalidOptionError('publishMiddleware', 'two calls of next', 'one call in a transaction');
    begun = true;
    return send(request);
  };
}
