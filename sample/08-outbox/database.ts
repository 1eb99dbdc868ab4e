import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Pool, type PoolClient } from 'pg';

export const databaseUrl = (): string => process.env.DATABASE_URL ?? 'postgres://postgres@localhost:5432/postgres';

/** The application's own tables and transactions. */
@Injectable()
export class Database implements OnModuleInit, OnModuleDestroy {
  readonly pool = new Pool({ connectionString: databaseUrl() });

  constructor() {
    this.pool.on('error', () => undefined);
  }

  async onModuleInit(): Promise<void> {
    await this.pool.query(`create table if not exists orders (
  id int generated always as identity primary key, item text not null, quantity int not null, reserved boolean not null default false)`);
  }

  async transaction<T>(work: (tx: PoolClient) => Promise<T>): Promise<T> {
    const tx = await this.pool.connect();
    try {
      await tx.query('begin');
      const result = await work(tx);
      await tx.query('commit');
      return result;
    } catch (error) {
      await tx.query('rollback').catch(() => undefined);
      throw error;
    } finally {
      tx.release();
    }
  }

  async onModuleDestroy(): Promise<void> {
    await this.pool.end();
  }
}
