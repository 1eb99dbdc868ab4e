import { afterEach, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/08-outbox/guide.js';
import { OrdersModule } from '../../sample/08-outbox/orders.module.js';
import { describePostgres } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describePostgres('sample 08, the outbox', (postgres) => {
  let app: INestApplication | undefined;
  afterEach(() => app?.close());

  test('an order is reserved, and one that is undone is told to nobody', async () => {
    app = await serve(OrdersModule, { AMQP_URL: undefined, DATABASE_URL: await postgres.url() });
    const [place, tooMany, look] = curlLines(guide(await app.getUrl()));
    expect(await curl(place)).toMatchObject({ status: 201, body: { id: 1, item: 'book', quantity: 2 } });
    expect(await curl(tooMany)).toMatchObject({ status: 409 });
    expect(await curl(place)).toMatchObject({ status: 201, body: { id: 3 } });
    await waitFor(async () => (await curl(look)).body.orders.every((order: { reserved: boolean }) => order.reserved));
    const { orders, outbox } = (await curl(look)).body;
    expect(orders.map(({ id }: { id: number }) => id)).toEqual([1, 3]);
    expect(outbox.status).toBe('up');
  });
});
