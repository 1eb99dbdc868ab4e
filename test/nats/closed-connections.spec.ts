import { afterEach, expect, test } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { fixed, type MessagingError, MessagingModule, Publisher, type Receipt } from 'nestjs-messaging';
import { nats, type NatsOptions } from 'nestjs-messaging/nats';
import { POISON } from 'nestjs-messaging/testing';
import { describeNatsNode } from '../brokers/nats.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, Seen } from '../e2e/support/application.js';
import { Operator } from './operator.js';
import { closePlain, connectPlain } from './plain.js';

const proxies = new Set<Proxy>();

afterEach(async () => {
  for (const proxy of proxies) await proxy.close();
  proxies.clear();
  await closeApplications();
  await closePlain();
});

/** Longer than the server below takes in the line that begins a publish. */
const LONG_ROUTE = ['order', 'x'.repeat(200)].join('.');

/** The server's words can be lost with the connection, which it ends before it has read all that was sent. */
const ENDINGS = 3;

/** What was handled when the connection ended can come again, and what was on its way comes when its lease is over. */
async function allButTheSeventh({ all }: Seen<number>): Promise<void> {
  await waitFor(() => new Set(all).size >= 19, 'the others', 50_000);
  expect(new Set(all)).toEqual(new Set(Array.from({ length: 20 }, (_, n) => n).filter((n) => n !== 7)));
}

describeNatsNode('a message over which the server closes the connection', (nodes) => {
  interface Started extends Application {
    readonly ended: () => number;
  }

  async function start(options: NatsOptions, retry = {}): Promise<Started> {
    const app = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'shop',
          transport: nats({ syncAlways: true, ackWait: 2_000, ...options }),
          reconnect: { initial: 20, max: 200 },
          ...retry,
        }),
      ],
    });
    let ended = 0;
    app.messaging.events.on('disconnected', () => ended++);
    return { ...app, ended: () => ended };
  }

  /** What becomes of a publish in the end: what is under way when the connection ends is queued first. */
  async function codeOf(publishing: Promise<Receipt>): Promise<string> {
    const { outcome, ...settled } = await publishing
      .then((receipt) => receipt.settled)
      .catch((error: MessagingError) => ({ outcome: 'rejected' as const, error }));
    return 'error' in settled ? settled.error.code : outcome;
  }

  const up = (app: Application): Promise<void> =>
    waitFor(() => app.messaging.health().connection.state === 'connected', 'a connection');

  test('because its subject is too long: it is refused, what was sent with it arrives, and health is up again', async () => {
    const { url } = await nodes.start({ conf: ['max_control_line: 200'] });
    const app = await start({ servers: url });
    const handled = new Seen<number>();
    await app.messaging.subscribe({ route: 'order.*', name: 'all' }, ({ n }: { n: number }) => void handled.add(n));
    const publisher = app.get(Publisher);
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => codeOf(publisher.publish(n === 7 ? LONG_ROUTE : 'order.created', { n }))),
    );
    expect(codes).toEqual(Array.from(codes, (_, n) => (n === 7 ? 'PUBLISH_REFUSED' : 'confirmed')));
    await allButTheSeventh(handled);
    await up(app);
    expect(app.ended()).toBeLessThanOrEqual(ENDINGS);
    expect(app.log.lines).toContainEqual(expect.stringContaining('NATS closes the connection over message'));
  });

  test('because the user may send less than the server takes: likewise', async () => {
    const operator = new Operator();
    const { url } = await nodes.start({ conf: operator.conf });
    const app = await start({ servers: url, credentials: operator.creds({ payload: 10_000 }).path });
    const handled = new Seen<number>();
    await app.messaging.subscribe({ route: 'order.created' }, ({ n }: { n: number }) => void handled.add(n));
    const publisher = app.get(Publisher);
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        codeOf(publisher.publish('order.created', { n, text: 'x'.repeat(n === 7 ? 20_000 : 10) })),
      ),
    );
    expect(codes[7]).toMatch(/PUBLISH_REFUSED|MESSAGE_TOO_LARGE/);
    expect(codes.filter((code) => code === 'confirmed')).toHaveLength(19);
    await allButTheSeventh(handled);
    await up(app);
    expect(app.ended()).toBeLessThanOrEqual(ENDINGS);
  });

  test('because «max_payload» was lowered: likewise', async () => {
    const server = await nodes.start();
    const app = await start({ servers: server.url });
    await server.reload(['max_payload: 10000']);
    const publisher = app.get(Publisher);
    const codes = await Promise.all(
      [20_000, 10, 500_000].map((bytes) => codeOf(publisher.publish('order.created', 'x'.repeat(bytes)))),
    );
    expect(codes).toEqual(['MESSAGE_TOO_LARGE', 'UNROUTABLE', 'MESSAGE_TOO_LARGE']);
    await up(app);
    expect(app.ended()).toBeLessThanOrEqual(ENDINGS);
  });

  test('as its retry and as its dead letter: others are handled, health tells of it, and the connection is lost once', async () => {
    const { url } = await nodes.start();
    const proxy = await Proxy.start(url);
    proxies.add(proxy);
    const app = await start({ servers: proxy.url(url) }, { retry: { attempts: 3, backoff: fixed(0) } });
    const calls = new Seen<string>();
    await app.messaging.subscribe({ route: 'order.created' }, (kind: string) => {
      calls.add(kind);
      if (kind === POISON) throw new Error('no');
    });
    const refusals = new Seen<string>();
    app.messaging.events.on('store-error', ({ error }) => refusals.add(error.message));
    proxy.endOver(Buffer.from(POISON), Buffer.from("-ERR 'Unknown Protocol Operation'\r\n"));
    await jetstream(await connectPlain(url)).publish('events.order.created', JSON.stringify(POISON));
    await refusals.until(4);
    for (let n = 0; n < 5; n++) await app.get(Publisher).publish('order.created', 'good');
    await waitFor(() => calls.all.filter((kind) => kind === 'good').length === 5, 'the good ones');
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ reason: expect.stringContaining('could not be written') }],
    });
    expect(calls.all.filter((kind) => kind === POISON).length).toBeLessThanOrEqual(3);
    expect(app.ended()).toBe(1);
  });
});
