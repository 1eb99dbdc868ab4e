import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { LocalTransaction, ProvenTransaction } from '../publisher/transactional-sending.js';
import { PROOF } from './postgres-commit-status.js';
import { clientOf, type OutboxTransaction } from './transactions/transaction.js';

/**
 * A local transaction of `publishInTransaction` in PostgreSQL, of which the server says what became of it: its route is one
 * of `postgresCommitStatus()`. `begin` passes a new transaction on, once, as in `(work) => dataSource.transaction(work)`;
 * what is sent is sent if that commits, whatever its library says of its end.
 *
 * `publishInTransaction` rejects with TransactionRolledBackError where the library reported success, and an error that was
 * swallowed in the transaction had undone it. @throws InvalidOptionError
 */
export function postgresTransaction<Tx extends OutboxTransaction>(
  begin: (work: (tx: Tx) => Promise<void>) => PromiseLike<unknown>,
  work: (tx: Tx, transaction: LocalTransaction) => unknown,
): ProvenTransaction {
  if (typeof begin !== 'function') throw new InvalidOptionError('begin', begin, 'a function that begins a transaction');
  if (typeof work !== 'function') throw new InvalidOptionError('work', work, 'a function of the transaction');
  return {
    run: async (transaction, prove) => {
      let begun = false;
      await begin(async (tx) => {
        if (begun)
          throw new InvalidOptionError('begin', begin, 'a function that begins once: repeat the whole publish instead');
        begun = true;
        const client = await clientOf(tx);
        const [{ before, proof }] = await client.query(PROOF, []);
        // The outer one can commit without this one, which its server does not tell apart.
        if (before !== null)
          throw new InvalidOptionError('begin', begin, 'a function that begins a transaction which is within no other');
        await prove(proof as string);
        await work(tx, transaction);
      });
      if (!begun)
        throw new InvalidOptionError('begin', begin, 'a function that calls what it is given with a transaction');
    },
  };
}
