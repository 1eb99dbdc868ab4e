import { beforeAll, describe, expect, test } from '@jest/globals';
import { headers } from '@nats-io/transport-node';
import { describeNats } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { inspectDirectory } from '../../lib/requeue/data-directory.js';
import { dataDirectory, header, TestClient, TestService } from './support/service.js';

describeNats('the requeue service', (nats) => {
  let url: string;
  beforeAll(async () => {
    url = await nats.url();
  });

  test('sends an accepted message to its original subject, body and headers untouched', async () => {
    const service = await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const seen = await client.subscribe('orders.created');
    const hdrs = header({
      'X-Tenant': 'blue: ü',
      traceparent: '00-1',
      'Requeue-Id': 'my-id',
      'Requeue-Queue': 'mail.de',
    });
    hdrs.append('X-Many', '1');
    hdrs.append('X-Many', '2');
    const body = Buffer.from([0, 1, 2, 0xff, 13, 10]);
    const before = Date.now();
    const reply = await client.sendWith('requeue.orders.created', body, hdrs);
    expect(reply.headers).toBeUndefined();
    expect(reply.json()).toEqual({ id: 'my-id', queue: 'mail.de' });
    const [one] = await seen.until(1);
    expect(Buffer.from(one.body, 'utf8').length).toBeGreaterThan(0);
    expect(one.headers.values('X-Many')).toEqual(['1', '2']);
    expect(one.headers.get('X-Tenant')).toBe('blue: ü');
    expect([...one.headers.keys()].sort()).toEqual(
      ['Requeue-Attempt', 'Requeue-Id', 'Requeue-Queue', 'Requeue-Time', 'X-Many', 'X-Tenant', 'traceparent'].sort(),
    );
    expect({ ...one, headers: one.headers.get('Requeue-Queue') }).toMatchObject({
      subject: 'orders.created',
      attempt: 1,
      id: 'my-id',
      headers: 'mail.de',
    });
    const time = Number(one.headers.get('Requeue-Time'));
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
    await waitFor(() => service.server.stats().depth === 0);
  });

  test('passes every byte of the body', async () => {
    await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    const got = new Promise<Uint8Array>((resolve) => {
      client.connection.subscribe('bytes', { callback: (_, message) => (message.respond(), resolve(message.data)) });
    });
    await client.connection.flush();
    await client.send('requeue.bytes', bytes);
    expect(Buffer.compare(Buffer.from(await got), bytes)).toBe(0);
  });

  test('has a message in the store before it is acknowledged', async () => {
    const service = await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    await client.send('requeue.nobody', 'kept', { delay: 60_000 });
    const { queues } = await inspectDirectory(service.server.settings.dataDir, Date.now(), 0);
    expect(queues).toMatchObject([{ queue: 'default', depth: 1, due: 0 }]);
  });

  test('takes the original subject from the header, before that of the subject', async () => {
    await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const seen = await client.subscribe('elsewhere.>');
    await client.send('requeue.orders', 'x', { subject: 'elsewhere.orders' });
    await client.send('requeue.elsewhere.stripped');
    expect((await seen.until(2)).map(({ subject }) => subject)).toEqual(['elsewhere.orders', 'elsewhere.stripped']);
  });

  test('takes a message that asks for no reply', async () => {
    await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const seen = await client.subscribe('silent.sender');
    client.connection.publish('requeue.silent.sender', 'x');
    expect((await seen.until(1))[0].body).toBe('x');
  });

  const malformed: [string, string, Record<string, string>, string][] = [
    ['a ttl that is no number', 'requeue.a', { 'Requeue-Ttl': 'soon' }, 'invalid-header'],
    ['a negative delay', 'requeue.a', { 'Requeue-Delay': '-1' }, 'invalid-header'],
    ['a delay with a fraction', 'requeue.a', { 'Requeue-Delay': '1.5' }, 'invalid-header'],
    ['a delay beyond all times', 'requeue.a', { 'Requeue-Delay': '9999999999999999' }, 'invalid-header'],
    ['a delay not shorter than the ttl', 'requeue.a', { 'Requeue-Ttl': '5', 'Requeue-Delay': '5' }, 'invalid-header'],
    ['no attempts at all', 'requeue.a', { 'Requeue-Attempts': '0' }, 'invalid-header'],
    ['a priority above 9', 'requeue.a', { 'Requeue-Priority': '10' }, 'invalid-header'],
    ['an unknown backoff', 'requeue.a', { 'Requeue-Backoff': 'linear' }, 'invalid-header'],
    ['a jitter above 1', 'requeue.a', { 'Requeue-Backoff-Jitter': '1.1' }, 'invalid-header'],
    [
      'a factor for a fixed backoff',
      'requeue.a',
      { 'Requeue-Backoff': 'fixed', 'Requeue-Backoff-Factor': '2' },
      'invalid-header',
    ],
    [
      'a longest wait below the first',
      'requeue.a',
      { 'Requeue-Backoff-Initial': '9', 'Requeue-Backoff-Max': '8' },
      'invalid-header',
    ],
    ['a header of ours that does not exist', 'requeue.a', { 'Requeue-Dealy': '5' }, 'invalid-header'],
    ['an empty queue name', 'requeue.a', { 'Requeue-Queue': '' }, 'invalid-header'],
    ['a queue of the service itself', 'requeue.a', { 'Requeue-Queue': '$refused' }, 'invalid-header'],
    ['an original subject with a wildcard', 'requeue.a', { 'Requeue-Subject': 'orders.*' }, 'invalid-subject'],
    ['an original subject with a blank', 'requeue.a', { 'Requeue-Subject': 'orders created' }, 'invalid-subject'],
    ['an original subject that comes back', 'requeue.a', { 'Requeue-Subject': 'requeue.b' }, 'loop'],
    ['a subject that comes back without its prefix', 'requeue.requeue.a', {}, 'loop'],
  ];

  test('answers malformed messages with an error, and keeps them as dead letters', async () => {
    const service = await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    for (const [what, subject, values, code] of malformed)
      expect({ what, code: await client.refusal(subject, what, header(values)) }).toEqual({ what, code });
    expect(service.server.stats()).toMatchObject({ depth: 0, deadLetters: malformed.length });
    await service.server.stop();
    const { deadLetters } = await inspectDirectory(service.server.settings.dataDir, Date.now(), 100);
    expect(deadLetters.map(({ reason, errorCode, subject }) => [reason, errorCode, subject]).sort()).toEqual(
      malformed.map(([, subject, , code]) => ['refused', code, subject]).sort(),
    );
  });

  test('says what is wrong, as text, as JSON and as NATS services do', async () => {
    await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const reply = await client.sendWith('requeue.a', 'x', header({ 'Requeue-Ttl': 'soon' }));
    const reason = 'Requeue-Ttl is «soon»; allowed: whole milliseconds, 1 to 3153600000000';
    expect(reply.json()).toEqual({ error: { code: 'invalid-header', reason } });
    expect(reply.headers!.get('Nats-Service-Error')).toBe(reason);
    expect(reply.headers!.get('Nats-Service-Error-Code')).toBe('400');
  });

  test('refuses a header twice, and names of headers that NATS does not allow', async () => {
    await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const twice = header({ 'Requeue-Ttl': '5' });
    twice.append('Requeue-Ttl', '6');
    expect(await client.refusal('requeue.a', 'x', twice)).toBe('invalid-header');
    const broken = headers();
    (broken as any).headers.set('bad name', ['1']);
    expect(await client.refusal('requeue.a', 'x', broken)).toBe('invalid-header');
  });

  test('refuses a message whose original subject nobody can know', async () => {
    await TestService.start({ servers: url, subject: 'hand-over' });
    const client = await TestClient.connect(url);
    expect(await client.refusal('hand-over', 'x', headers())).toBe('missing-subject');
    const seen = await client.subscribe('orders');
    await client.send('hand-over', 'x', { subject: 'orders' });
    await seen.until(1);
  });

  test('refuses a message that would be too large on its way out', async () => {
    await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const most = client.connection.info!.max_payload;
    expect(await client.refusal('requeue.large', Buffer.alloc(most - 50), header({ 'X-A': '1' }))).toBe('too-large');
    const seen = await client.subscribe('large');
    await client.send('requeue.large', Buffer.alloc(most - 400));
    expect((await seen.until(1))[0].body.length).toBe(most - 400);
  });

  test('refuses what a full queue does not take, and takes what another does', async () => {
    const service = await TestService.start({ servers: url, maxMessages: 2, maxBytes: 100 });
    const client = await TestClient.connect(url);
    const later = { delay: 60_000 };
    await client.send('requeue.a', 'x', later);
    await client.send('requeue.a', 'x', later);
    const reply = await client.send('requeue.a', 'x', later);
    expect(reply.headers!.get('Requeue-Error')).toBe('queue-full');
    expect((await client.send('requeue.a', 'x', { ...later, queue: 'b' })).headers).toBeUndefined();
    const large = await client.send('requeue.a', Buffer.alloc(101), { ...later, queue: 'b' });
    expect(large.headers!.get('Requeue-Error')).toBe('queue-full');
    expect(service.server.stats()).toMatchObject({ depth: 3, deadLetters: 0, refused: { 'queue-full': 2 } });
  });

  test('gives an error when the disk cannot be written, and takes messages again when it can', async () => {
    const service = await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const { storage } = (service.server as any).queue;
    const { file } = storage.own;
    const transaction = file.transaction;
    file.transaction = () => {
      throw new Error('database or disk is full');
    };
    const reply = await client.send('requeue.a', 'x', { delay: 60_000 });
    expect(reply.headers!.get('Requeue-Error')).toBe('store-failed');
    expect(service.server.health()).toMatchObject({ status: 'degraded', store: { healthy: false, depth: 0 } });
    expect(service.writeErrors.length).toBeGreaterThan(0);
    file.transaction = transaction;
    expect((await client.send('requeue.a', 'x', { delay: 60_000 })).headers).toBeUndefined();
    expect(service.server.health()).toMatchObject({ status: 'up', store: { healthy: true, depth: 1 } });
  });

  describe('sending', () => {
    test('a message is not sent before its time, and they come in the order of their times', async () => {
      await TestService.start({ servers: url });
      const client = await TestClient.connect(url);
      const seen = await client.subscribe('later');
      const delays = [400, 150, 300, 0, 50, 225];
      // Each was taken at some moment of its request, which on a busy machine can be as long as a delay.
      const due = new Map<string, { earliest: number; latest: number }>();
      for (const delay of delays) {
        const earliest = Date.now() + delay;
        await client.send('requeue.later', String(delay), { delay });
        due.set(String(delay), { earliest, latest: Date.now() + delay });
      }
      const got = await seen.until(delays.length);
      for (const [place, { body, at }] of got.entries()) {
        expect(at).toBeGreaterThanOrEqual(due.get(body)!.earliest - 1);
        for (const later of got.slice(place + 1))
          expect(due.get(later.body)!.latest).toBeGreaterThanOrEqual(due.get(body)!.earliest - 1);
      }
      expect(got.map(({ body }) => body).sort()).toEqual(delays.map(String).sort());
    });

    test('a higher priority goes first, equal ones by when they were due', async () => {
      await TestService.start({ servers: url, maxInFlight: 1 });
      const client = await TestClient.connect(url);
      const held: (() => void)[] = [];
      const seen = await client.subscribe('work', (message) => held.push(() => message.respond()));
      await client.send('requeue.work', 'first');
      await seen.until(1);
      for (const [body, priority] of [
        ['low', 0],
        ['high', 9],
        ['middle', 5],
        ['high too', 9],
        ['low too', 0],
      ] as const)
        await client.send('requeue.work', body, { priority });
      for (let at = 0; at < 6; at++) {
        await seen.until(at + 1);
        held[at]();
      }
      expect(seen.all.map(({ body }) => body)).toEqual(['first', 'high', 'high too', 'middle', 'low', 'low too']);
    });

    test('a message without a subscriber is sent until there is one, without a limit', async () => {
      const service = await TestService.start({ servers: url });
      const client = await TestClient.connect(url);
      const backoff = { type: 'fixed', initial: 5, jitter: 0 } as const;
      await client.send('requeue.nobody.yet', 'x', { backoff });
      await waitFor(() => service.queue()!.noResponders >= 10);
      const seen = await client.subscribe('nobody.yet');
      const [{ attempt }] = await seen.until(1);
      expect(attempt).toBeGreaterThan(10);
      await waitFor(() => service.server.stats().depth === 0);
    });

    test('a reply with an error is a failure, any other reply an acknowledgement', async () => {
      const service = await TestService.start({ servers: url });
      const client = await TestClient.connect(url);
      let calls = 0;
      const answers = ['Nats-Service-Error-Code', 'Nats-Service-Error', 'Requeue-Error'];
      const seen = await client.subscribe('picky', (message) => {
        const name = answers[calls++];
        message.respond('some text', name ? { headers: header({ [name]: '500' }) } : {});
      });
      await client.send('requeue.picky', 'x', { backoff: { initial: 1 } });
      expect((await seen.until(4)).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
      await waitFor(() => service.server.stats().depth === 0);
      expect(service.queue()).toMatchObject({ failed: 3, delivered: 1, deadLettered: 0 });
    });

    test('a message that has had its attempts is a dead letter', async () => {
      const service = await TestService.start({ servers: url });
      const client = await TestClient.connect(url);
      const seen = await client.subscribe('hopeless', (message) =>
        message.respond('', {
          headers: header({ 'Nats-Service-Error-Code': '422', 'Nats-Service-Error': 'no such order' }),
        }),
      );
      await client.send('requeue.hopeless', 'x', { id: 'dead-1', attempts: 3, backoff: { initial: 1, jitter: 0 } });
      await waitFor(() => service.server.stats().deadLetters === 1);
      expect(seen.all.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      await service.server.stop();
      const { deadLetters } = await inspectDirectory(service.server.settings.dataDir, Date.now(), 10);
      expect(deadLetters).toMatchObject([
        {
          id: 'dead-1',
          subject: 'hopeless',
          reason: 'attempts-exhausted',
          attempts: 3,
          errorCode: '422',
          error: 'no such order',
        },
      ]);
    });

    test('a message whose time to live has ended is a dead letter, and is not sent', async () => {
      const service = await TestService.start({ servers: url });
      const client = await TestClient.connect(url);
      await client.send('requeue.nobody', 'x', { ttl: 150, backoff: { initial: 60_000 } });
      await waitFor(() => service.queue()!.noResponders === 1);
      const seen = await client.subscribe('nobody');
      await waitFor(() => service.server.stats().deadLetters === 1);
      expect(seen.all).toEqual([]);
      await service.server.stop();
      const { deadLetters } = await inspectDirectory(service.server.settings.dataDir, Date.now(), 10);
      expect(deadLetters).toMatchObject([{ reason: 'expired', attempts: 1 }]);
    });

    test('a thousand messages that expire together are all dead letters', async () => {
      const service = await TestService.start({ servers: url });
      const client = await TestClient.connect(url);
      for (let at = 0; at < 1_000; at++)
        client.connection.publish('requeue.nobody', 'x', {
          headers: header({ 'Requeue-Ttl': '500', 'Requeue-Delay': '499' }),
        });
      await waitFor(() => service.queue()?.accepted === 1_000);
      await waitFor(() => service.server.stats().deadLetters === 1_000);
      expect(service.server.stats().depth).toBe(0);
    });

    test('a silent subscriber keeps nobody waiting in other queues', async () => {
      const service = await TestService.start({ servers: url, maxInFlight: 8, ackTimeout: 60_000 });
      const client = await TestClient.connect(url);
      const silent = await client.subscribe('silent.*', () => undefined);
      for (const queue of ['silent.1', 'silent.2', 'silent.3'])
        for (let at = 0; at < 20; at++) await client.send(`requeue.${queue}`, 'x', { queue });
      await silent.until(5);
      const busy = await client.subscribe('busy');
      await Promise.all(Array.from({ length: 300 }, () => client.send('requeue.busy', 'x', { queue: 'busy.queue' })));
      await busy.until(300);
      await waitFor(() => service.queue('busy.queue')!.delivered === 300);
      expect(service.server.stats().inFlight).toBeLessThanOrEqual(8 + 4);
    });

    test('a message is sent again when its subscriber does not reply in time; the late reply counts for nothing', async () => {
      const service = await TestService.start({ servers: url, ackTimeout: 100 });
      const client = await TestClient.connect(url);
      const held: (() => void)[] = [];
      const seen = await client.subscribe('slow', (message) => held.push(() => message.respond()));
      await client.send('requeue.slow', 'x', { backoff: { initial: 20, jitter: 0 } });
      await seen.until(2);
      held[0]();
      await waitFor(() => service.server.stats().lateReplies === 1);
      expect(service.server.stats().depth).toBe(1);
      held[1]();
      await waitFor(() => service.server.stats().lateReplies === 2 || service.server.stats().depth === 0);
      expect(service.queue()).toMatchObject({ timedOut: expect.any(Number) });
      expect(service.queue()!.timedOut).toBeGreaterThanOrEqual(1);
    });
  });

  test('tells its statistics on the stats subject', async () => {
    const service = await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const seen = await client.subscribe('orders');
    await client.send('requeue.orders');
    await client.send('requeue.orders', 'x', { delay: 60_000, queue: 'mail' });
    await client.refusal('requeue.a', '', header({ 'Requeue-Ttl': 'x' }));
    await seen.until(1);
    await waitFor(() => service.server.stats().depth === 1);
    const stats = (await client.connection.request('requeue.stats')).json<any>();
    expect(stats).toMatchObject({
      name: 'requeue-nats',
      status: 'up',
      depth: 1,
      inFlight: 0,
      refused: { 'invalid-header': 1 },
      queues: [
        { queue: 'mail', depth: 1, bytes: 1, accepted: 1, sent: 0 },
        { queue: 'default', depth: 0, accepted: 1, sent: 1, delivered: 1 },
      ],
    });
    expect(Object.keys(stats)).toEqual(Object.keys(service.server.stats()));
  });

  test('takes a message to the subject «stats» that has a body', async () => {
    await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const seen = await client.subscribe('stats');
    await client.send('requeue.stats', 'numbers', { id: 'n' });
    expect(await seen.until(1)).toMatchObject([{ id: 'n', body: 'numbers' }]);
  });

  test('does not send from a directory of something else', async () => {
    const { DurableQueue } = await import('../../lib/durable-queue/durable-queue.js');
    const { systemClock } = await import('../../lib/clock/clock.js');
    const directory = dataDirectory();
    const log = { log: () => undefined, warn: () => undefined, error: () => undefined };
    const other = new DurableQueue(
      {
        directory,
        directoryOption: 'directory',
        neededBy: 'the test',
        adoptInterval: 1_000,
        destination: { name: 'other' },
      },
      systemClock,
      { log, adopted: () => undefined, failed: () => undefined },
    );
    await other.open();
    const entry = { queue: '', id: '1', lane: undefined, priority: 0, dueAt: 0, expiresAt: undefined, queuedAt: 0 };
    other.append(
      { ...entry, attempts: 0, returns: 0, bytes: 1, meta: '{"a":1}', body: Buffer.from('x') },
      () => undefined,
    );
    other.close();
    await expect(TestService.start({ servers: url, dataDir: directory })).rejects.toThrow(
      /dataDir.*a directory of its own/,
    );
  });
});
