import type { PostgresDatabase } from '../clients/postgres-database.js';
import type { PostgresError } from '../clients/postgres-errors.js';
import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkShortText, knownKeys } from '../errors/option-checks.js';
import { TransactionRolledBackError } from '../errors/outbox-errors.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { OutboxStatements } from './outbox-statements.js';
import { clientOf, type OutboxTransaction } from './transactions/transaction.js';

/** Options of `inbox.once`. */
export interface InboxOptions {
  /** What the message is handled for: it is handled once for each. 1 to 255 bytes. Default: `context.queue`. */
  readonly scope?: string;
}

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1_000;
/** A transaction that runs for longer after its end was asked for is left to the next call, which waits for it. */
const WAIT_MS = 30_000;
/** The server has not given its number yet, since it crashed and forgot it. */
const NO_SUCH_TRANSACTION = '22023';

/**
 * Handles each message once: what its handler does in a transaction and the note that it did are committed together. The
 * handler ends well only where the database says that they are.
 */
export class Inbox {
  /** @internal */
  constructor(
    private readonly database: PostgresDatabase,
    private readonly statements: OutboxStatements,
    private readonly clock: Clock,
  ) {}

  /**
   * Runs `work` in the transaction that `begin` makes, if this message was not handled before, and gives what it returns;
   * undefined where it was. `begin` is called once, and passes the transaction on, as in `(work) => dataSource.transaction(work)`.
   *
   * It resolves when the transaction has committed, also where the answer to the commit was lost. Otherwise it rejects, and
   * the message is handled again as its retry policy says: with TransactionRolledBackError where the library reported
   * success, and an error that was swallowed in the transaction had undone it.
   * @throws NotInTransactionError, InvalidOptionError, and what `begin` and `work` throw (as rejections)
   */
  async once<Tx extends OutboxTransaction, T>(
    context: Pick<MessageContext, 'id' | 'queue' | 'signal'>,
    begin: (work: (tx: Tx) => Promise<T>) => PromiseLike<unknown>,
    work: (tx: Tx) => Promise<T>,
    options: InboxOptions = {},
  ): Promise<T | undefined> {
    knownKeys('options', options, ['scope']);
    const { scope = context.queue } = options;
    checkShortText('scope', scope);
    const { id } = context;
    if (id === '')
      throw new InvalidOptionError(
        'context.id',
        id,
        'the id that its publisher gave: nothing else tells a message that comes twice',
      );
    let xact: string | undefined;
    let isDuplicate = false;
    let result: T | undefined;
    let failure: { readonly error: unknown } | undefined;
    try {
      await begin(async (tx) => {
        const client = await clientOf(tx);
        const [row] = await client.query(this.statements.record, [scope, id]);
        isDuplicate = row === undefined;
        if (isDuplicate) return undefined as T;
        xact = row.xact as string;
        return (result = await work(tx));
      });
    } catch (error) {
      failure = { error };
    }
    if (isDuplicate) return undefined;
    if (xact === undefined) {
      if (failure) throw failure.error;
      throw new InvalidOptionError('begin', begin, 'a function that calls what it is given with a transaction');
    }
    if (await this.isCommitted(xact, scope, id, context.signal)) return result;
    if (failure) throw failure.error;
    throw new TransactionRolledBackError(
      'The transaction was rolled back, though its end was reported as a success: an error was swallowed in it',
    );
  }

  /** Asked of the server, on another connection: what the library says of the end of a transaction proves nothing. */
  private async isCommitted(xact: string, scope: string, id: string, signal: AbortSignal): Promise<boolean> {
    const { clock, database, statements } = this;
    const deadline = clock.monotonic() + WAIT_MS;
    let unseen = 0;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      let fate: unknown;
      try {
        const [row] = await database.query(statements.fate, [xact, scope, id]);
        fate = row.fate;
      } catch (error) {
        fate =
          (error as PostgresError).code === NO_SUCH_TRANSACTION
            ? 'aborted'
            : new TransactionRolledBackError(
                `What became of the transaction is not known: ${database.describe(error)}`,
              );
      }
      if (fate === 'committed') return true;
      if (fate === 'aborted' || (fate === 'unseen' && ++unseen > 1)) return false;
      if (signal.aborted || clock.monotonic() >= deadline)
        throw fate instanceof Error ? fate : new TransactionRolledBackError('The transaction has not ended yet');
      await sleep(clock, pause, signal);
    }
  }
}
