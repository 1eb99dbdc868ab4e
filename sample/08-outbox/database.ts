import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Order } from './order.entity.js';

export const databaseUrl = (): string => process.env.DATABASE_URL ?? 'postgres://postgres@localhost:5432/postgres';

/** The application's own tables and transactions. It makes its table by itself, as only a sample should. */
@Injectable()
export class Database extends DataSource implements OnModuleInit, OnModuleDestroy {
  constructor() {
    super({ type: 'postgres', url: databaseUrl(), entities: [Order], synchronize: true });
  }

  async onModuleInit(): Promise<void> {
    await this.initialize();
  }

  async onModuleDestroy(): Promise<void> {
    if (this.isInitialized) await this.destroy();
  }
}
