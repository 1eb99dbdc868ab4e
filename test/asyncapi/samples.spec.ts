import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { asyncApi, unconnectedApplication } from 'nestjs-messaging/asyncapi';
import { ShopModule } from '../../sample/01-shop/shop.module.js';
import { PaymentsModule } from '../../sample/02-disk-retry-queue/payments.module.js';
import { PaymentsModule as IdempotencyModule } from '../../sample/04-idempotency/payments.module.js';
import { LedgerModule } from '../../sample/05-ordering/ledger.module.js';
import { ReadingsModule } from '../../sample/06-batches/readings.module.js';
import { AppModule as DeadLettersModule } from '../../sample/07-dead-letters/app.module.js';
import { OrdersModule } from '../../sample/08-outbox/orders.module.js';
import { AppModule as TransactionModule } from '../../sample/09-transactional-send/app.module.js';
import { AppModule as MovedModule } from '../../sample/10-from-golevelup/step-5.js';
import { AppModule as QuotesModule } from '../../sample/11-request-reply/app.module.js';
import { ReportsModule } from '../../sample/12-recurring/reports.module.js';

/** All but 03, which has the requeue service of NATS, and sends and receives nothing by this package. */
const SAMPLES = {
  '01-shop': ShopModule,
  '02-disk-retry-queue': PaymentsModule,
  '04-idempotency': IdempotencyModule,
  '05-ordering': LedgerModule,
  '06-batches': ReadingsModule,
  '07-dead-letters': DeadLettersModule,
  '08-outbox': OrdersModule,
  '09-transactional-send': TransactionModule,
  '10-from-golevelup': MovedModule,
  '11-request-reply': QuotesModule,
  '12-recurring': ReportsModule,
};
const GOLDEN = resolve(__dirname, 'golden');
/** What the samples read from their environment; nobody listens there. */
const BROKER = { AMQP_URL: 'amqp://user:secret@broker.example:5672/shop' };

const BOTH = [['', {}], ['.rabbitmq', BROKER]] as const; // prettier-ignore
const ALWAYS_RABBITMQ = [['.rabbitmq', {}]] as const;

describe('the documents of the samples are those that are checked in', () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = { ...before };
  });

  for (const [name, module] of Object.entries(SAMPLES))
    for (const [suffix, environment] of name.startsWith('10') ? ALWAYS_RABBITMQ : BOTH)
      test(`${name}${suffix}`, async () => {
        delete process.env.AMQP_URL;
        Object.assign(process.env, environment);
        const app = await unconnectedApplication(module);
        const text = inLines(asyncApi(app, { info: { version: '1.0.0' } }));
        await app.close();
        expect(text).not.toContain('secret');
        const file = join(GOLDEN, `${name}${suffix}.json`);
        if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text);
        expect(text).toBe(inLines(JSON.parse(readFileSync(file, 'utf8'))));
      });
});

/** With the order of all names, whatever the file is formatted like. */
function inLines(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
