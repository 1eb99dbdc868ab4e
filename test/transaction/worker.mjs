// One process that runs local transactions in a SQLite file and publishes in them. It kills itself at the step that its seed
// says: before or after a call of the store of records, a step of a local transaction, or a send.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule, fixed } from 'nestjs-messaging';
import { postgresCommitStatus, postgresTransaction } from 'nestjs-messaging/outbox';
import { postgresTransactionRecords } from 'nestjs-messaging/stores';
import { CheckTransaction, sqliteTransactionRecords } from 'nestjs-messaging/transaction';

const { records, orders, broker, seed, mode, name, inPostgres, proven, step: lastStep } = JSON.parse(process.argv[2]);
const PER_RUN = 200;
const AT_A_TIME = 4;

let state = seed >>> 0;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
let left = mode === 'kill' ? (lastStep ?? 1 + Math.floor(random() * 300)) : Infinity;
const step = () => void (--left === 0 && process.kill(process.pid, 'SIGKILL'));

/** Something that is called at a step, and answers at another. */
function mortal(target, wanted) {
  return new Proxy(target, {
    get(it, method) {
      const own = it[method];
      if (typeof own !== 'function') return own;
      if (!wanted(method)) return own.bind(it);
      return (...args) => {
        step();
        const result = own.apply(it, args);
        if (!(result instanceof Promise)) return result;
        return result.finally(step);
      };
    },
  });
}

const { DatabaseSync } = process.getBuiltinModule?.('node:sqlite') ?? (await import('@photostructure/sqlite'));
const database = new DatabaseSync(orders);
database.exec('PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL');
database.exec('CREATE TABLE IF NOT EXISTS sent (id TEXT PRIMARY KEY, message TEXT NOT NULL)');
const insert = database.prepare('INSERT INTO sent VALUES (?, ?)');
const find = database.prepare('SELECT message FROM sent WHERE id = ?');

class Orders {
  /** A database that is down now and then. */
  async wasCreated({ id }) {
    step();
    if (random() < 0.2) throw new Error('the database is down');
    return find.get(id) ? 'committed' : random() < 0.1 ? 'unknown' : 'rolled-back';
  }
}
if (!proven)
  CheckTransaction('order.created')(
    Orders.prototype,
    'wasCreated',
    Object.getOwnPropertyDescriptor(Orders.prototype, 'wasCreated'),
  );

/** A database that is asked at a step, and answers at another; now and then it is down. */
function statusOf() {
  const given = postgresCommitStatus({ url: proven, routes: ['order.created'] });
  const create = (environment) => {
    const status = mortal(given.create(environment), (method) => ['keep', 'ask'].includes(method));
    return {
      ...given,
      keep: () => status.keep(),
      close: () => status.close(),
      ask: (proof) => (random() < 0.2 ? Promise.reject(new Error('the database is down')) : status.ask(proof)),
    };
  };
  return { ...given, create };
}

async function storeOf() {
  const given = inPostgres
    ? postgresTransactionRecords({ url: inPostgres })
    : sqliteTransactionRecords({ file: records, busyTimeout: 20_000 });
  const calls = (method) => ['prepare', 'commit', 'remove', 'note', 'find', 'adopt'].includes(method);
  return { ...given, create: (environment) => mortal(given.create(environment), calls) };
}

async function transportOf({ system, url }) {
  const { [system]: of } = await import(`nestjs-messaging/${system}`);
  const factory = of(system === 'nats' ? { servers: url } : { url });
  const create = () => {
    const transport = factory.create();
    const publish = transport.publish.bind(transport);
    transport.publish = (batch, done) => {
      step();
      publish(batch, (outgoing, result) => {
        step();
        done(outgoing, result);
        step();
      });
    };
    return transport;
  };
  return { ...factory, create };
}

const module = MessagingModule.forRoot({
  service: 'shop',
  transport: await transportOf(broker),
  consume: false,
  transactions: {
    store: await storeOf(),
    ...(proven && { commitStatus: statusOf() }),
    ...{ timeout: 300, grace: 100, lease: 600, checks: 1_000, backoff: fixed(50) },
  },
});
class Root {}
Reflect.defineMetadata('imports', [module], Root);
Reflect.defineMetadata('providers', [Orders], Root);
const app = await NestFactory.createApplicationContext(Root, { logger: ['fatal'] });
const messaging = app.get(Messaging);

const { Pool } = await import('pg');
const pool = proven ? new Pool({ connectionString: proven, max: AT_A_TIME }) : undefined;

/** Every statement is a step; most libraries resolve where the transaction was rolled back. */
function inDatabase(message, fate) {
  const begin = async (work) => {
    const client = mortal(await pool.connect(), (method) => method === 'query');
    try {
      await client.query('begin');
      await work(client);
      await client.query(fate < 0.1 ? 'rollback' : 'commit');
      if (fate > 0.2 && fate < 0.3) throw new Error('the answer was lost');
    } catch (error) {
      await client.query('rollback');
      throw error;
    } finally {
      client.release();
    }
  };
  return postgresTransaction(begin, async (tx) => {
    await tx.query('insert into sent values ($1)', [message]);
    if (fate > 0.1 && fate < 0.2) throw new Error('rolled back');
  });
}

async function transact(number) {
  const message = `${name}-${number}`;
  const fate = random();
  const local = ({ id }) => {
    step();
    database.exec('BEGIN IMMEDIATE');
    insert.run(id, message);
    step();
    if (fate < 0.2) {
      database.exec('ROLLBACK');
      throw new Error('rolled back');
    }
    database.exec('COMMIT');
    step();
    if (fate < 0.3) throw new Error('the answer was lost');
  };
  const work = proven ? inDatabase(message, fate) : local;
  await messaging.publisher.publishInTransaction('order.created', { message }, work, { id: message }).catch((error) => {
    if (
      !/rolled back|answer was lost|TransactionUnknown|TransactionTimeout|database is down/.test(
        `${error.name} ${error.message}`,
      )
    )
      throw error;
  });
}

if (mode === 'kill') {
  let number = 0;
  const line = async () => {
    while (number < PER_RUN) await transact(number++);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, line));
}
if (mode === 'drain') {
  const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
  while ((await messaging.transactions.list({ limit: 1 })).length > 0) await pause();
}
await app.close();
await pool?.end();
database.close();
