import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** One library at work on one database. */
export interface Session {
  /** What is no transaction. */
  readonly plain: object;
  transaction(work: (tx: any) => Promise<unknown>): Promise<unknown>;
  /** A statement of the application in the same transaction. */
  query(tx: any, text: string): Promise<unknown>;
  /** A transaction in it, where the library has those. */
  nested?(tx: any, work: (inner: any) => Promise<unknown>): Promise<unknown>;
  close(): Promise<unknown>;
}

export interface Library {
  readonly name: string;
  /** The package whose version the title has. */
  readonly package: string;
  open(load: NodeRequire, url: string, folder: string): Promise<Session>;
}

const typeorm = (name: string): Library => ({
  name: 'TypeORM',
  package: name,
  open: async (load, url) => {
    const { DataSource } = load(name);
    const source = await new DataSource({ type: 'postgres', url, driver: load('pg') }).initialize();
    return {
      plain: source.manager,
      transaction: (work) => source.transaction(work),
      query: (tx, text) => tx.query(text),
      nested: (tx, work) => tx.transaction(work),
      close: () => source.destroy(),
    };
  },
});

const drizzle = (name: string): Library => ({
  name: 'Drizzle',
  package: name,
  open: async (load, url) => {
    const { drizzle } = load(`${name}/node-postgres`);
    const { Pool } = load('pg');
    const pool = new Pool({ connectionString: url });
    const db = drizzle(pool);
    return {
      plain: db,
      transaction: (work) => db.transaction(work),
      query: (tx, text) => tx.execute(text),
      nested: (tx, work) => tx.transaction(work),
      close: () => pool.end(),
    };
  },
});

const knex = (name: string): Library => ({
  name: 'Knex',
  package: name,
  open: async (load, url) => {
    const made = load(name);
    const db = (made.knex ?? made)({ client: 'pg', connection: url });
    return {
      plain: db,
      transaction: (work) => db.transaction(work),
      query: (tx, text) => tx.raw(text),
      nested: (tx, work) => tx.transaction(work),
      close: () => db.destroy(),
    };
  },
});

export const libraries: readonly Library[] = [
  {
    name: 'pg',
    package: 'pg',
    open: async (load, url) => {
      const { Pool } = load('pg');
      const pool = new Pool({ connectionString: url });
      return {
        plain: pool,
        transaction: async (work) => {
          const client = await pool.connect();
          try {
            await client.query('begin');
            const result = await work(client);
            await client.query('commit');
            return result;
          } catch (error) {
            await client.query('rollback');
            throw error;
          } finally {
            client.release();
          }
        },
        query: (tx, text) => tx.query(text),
        nested: async (tx, work) => {
          await tx.query('savepoint inner_one');
          try {
            await work(tx);
            await tx.query('release savepoint inner_one');
          } catch (error) {
            await tx.query('rollback to savepoint inner_one');
            throw error;
          }
        },
        close: () => pool.end(),
      };
    },
  },
  typeorm('typeorm'),
  typeorm('typeorm-previous'),
  {
    name: 'Prisma',
    package: '@prisma/client',
    open: async (load, url, folder) => {
      await compilePrisma(join(folder, 'prisma-source'), join(folder, 'prisma-client'));
      const { PrismaClient } = load('./prisma-client/client.js');
      const { PrismaPg } = load('@prisma/adapter-pg');
      const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
      return {
        plain: db,
        transaction: (work) => db.$transaction(work),
        query: (tx, text) => tx.$executeRawUnsafe(text),
        nested: (tx, work) => tx.$transaction(work),
        close: () => db.$disconnect(),
      };
    },
  },
  drizzle('drizzle-orm'),
  drizzle('drizzle-previous'),
  knex('knex'),
  knex('knex-previous'),
  {
    name: 'MikroORM',
    package: '@mikro-orm/core',
    open: async (load, url) => {
      const { MikroORM, EntitySchema } = load('@mikro-orm/postgresql');
      const properties = { id: { type: 'number', primary: true }, note: { type: 'string' } };
      const account = new EntitySchema({ name: 'Account', tableName: 'accounts', properties });
      const orm = await MikroORM.init({ clientUrl: url, entities: [account] });
      return {
        plain: orm.em.fork(),
        transaction: (work) => orm.em.fork().transactional(work),
        query: (tx, text) => tx.execute(text),
        nested: (tx, work) => tx.transactional(work),
        close: () => orm.close(),
      };
    },
  },
  {
    name: 'Kysely',
    package: 'kysely',
    open: async (load, url) => {
      const { Kysely, PostgresDialect, CompiledQuery } = load('kysely');
      const { Pool } = load('pg');
      const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: url }) }) });
      return {
        plain: db,
        transaction: (work) => db.transaction().execute(work),
        query: (tx, text) => tx.executeQuery(CompiledQuery.raw(text)),
        close: () => db.destroy(),
      };
    },
  },
  {
    name: 'Sequelize',
    package: 'sequelize',
    open: async (load, url) => {
      const { Sequelize } = load('sequelize');
      const db = new Sequelize(url, { logging: false });
      return {
        plain: db,
        transaction: (work) => db.transaction(work),
        query: (transaction, text) => db.query(text, { transaction }),
        nested: (transaction, work) => db.transaction({ transaction }, work),
        close: () => db.close(),
      };
    },
  },
  {
    name: '@nestjs-cls/transactional',
    package: '@nestjs-cls/transactional',
    open: async (load, url) => {
      const { DataSource } = load('typeorm');
      const { ClsModule } = load('nestjs-cls');
      const { ClsPluginTransactional, TransactionHost } = load('@nestjs-cls/transactional');
      const { TransactionalAdapterTypeOrm } = load('@nestjs-cls/transactional-adapter-typeorm');
      const { NestFactory } = load('@nestjs/core');
      const source = await new DataSource({ type: 'postgres', url, driver: load('pg') }).initialize();
      const database = { module: class Database {}, providers: [{ provide: DataSource, useValue: source }], exports: [DataSource] }; // prettier-ignore
      const adapter = new TransactionalAdapterTypeOrm({ dataSourceToken: DataSource });
      const plugin = new ClsPluginTransactional({ imports: [database], adapter });
      const cls = ClsModule.forRoot({ plugins: [plugin] });
      const app = await NestFactory.createApplicationContext(
        { module: class App {}, imports: [cls] },
        { logger: false },
      );
      const host = app.get(TransactionHost);
      return {
        plain: host,
        transaction: (work) => host.withTransaction(() => work(host)),
        query: (tx, text) => tx.tx.query(text),
        close: async () => {
          await app.close();
          await source.destroy();
        },
      };
    },
  },
];

/** Prisma generates TypeScript. */
async function compilePrisma(source: string, target: string): Promise<void> {
  if (existsSync(join(target, 'client.js'))) return;
  const script = '../../../scripts/compile.mjs';
  const { compileFile } = (await import(script)) as { compileFile(file: string, module: string): string };
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const output = join(target, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, compileFile(join(source, file), 'commonjs'));
  }
}
