import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import {
  DeadLetters,
  type MessageContext,
  MessagingModule,
  partitioned,
  type SubscriptionOptions,
  UnrecoverableError,
} from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';

const QUEUE = 'orders:step:queue';

interface Call {
  readonly key: string | undefined;
  readonly id: string;
  readonly context: MessageContext;
}

type Native = Readonly<Record<string, unknown>>;

describeRabbit('a queue split by key into partitions', (rabbit) => {
  let url: string;
  let plain: ChannelModel;
  let channel: Channel;

  beforeAll(async () => void (await rabbit.ready()), 60_000);
  beforeEach(async () => {
    url = await rabbit.freshVhostUrl();
    plain = await connect(url);
    channel = await plain.createChannel();
    channel.on('error', () => {});
  });
  afterEach(async () => {
    await closeApplications();
    await plain.close();
  });

  /** An application whose handler is this, with what it was called with. */
  async function subscriber(
    native: Native = { partitions: 4 },
    handler: (call: Call) => unknown = () => undefined,
    { provision = true, ...options }: SubscriptionOptions & { provision?: boolean } = {},
  ): Promise<{ calls: Call[]; application: Application; partitions: () => string[] }> {
    const transport = rabbitmq({ url });
    const application = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'orders',
          transport,
          provision,
          retry: { attempts: 3, backoff: 5 },
          shutdownTimeout: 500,
        }),
      ],
    });
    const calls: Call[] = [];
    const concurrency = partitioned();
    await application.messaging.subscribe(
      { route: 'step', concurrency, ...options, rabbitmq: native },
      (_: unknown, context: MessageContext) => {
        const call = { key: context.key, id: context.id, context };
        calls.push(call);
        return handler(call);
      },
    );
    const partitions = (): string[] =>
      application.messaging
        .health()
        .consumers.flatMap(({ queue, state }) => (queue !== QUEUE && state === 'consuming' ? [queue] : []));
    return { calls, application, partitions };
  }

  /** As a client of any language does it. */
  const publish = (key: string | undefined, id: string, headers: object = {}): void =>
    void channel.publish('events', 'step', Buffer.from(`{"n":${id}}`), {
      messageId: id,
      headers: key === undefined ? headers : { 'messaging-key': key, ...headers },
    });

  const ids = (calls: readonly Call[], key?: string): string[] =>
    calls.filter((call) => call.key === key).map(({ id }) => id);

  const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at + 1));

  it('a plain client publishes to the route; each key is handled in order, by its partition', async () => {
    const { calls } = await subscriber();
    for (const id of numbers(20)) for (let key = 0; key < 10; key++) publish(`k${key}`, id, { region: 'north' });
    for (const id of numbers(20)) publish(undefined, id);
    await waitFor(() => calls.length === 220, 'all messages');
    for (let key = 0; key < 10; key++) {
      expect(ids(calls, `k${key}`)).toEqual(numbers(20));
      expect(new Set(calls.filter((call) => call.key === `k${key}`).map(({ context }) => context.queue)).size).toBe(1);
    }
    expect(ids(calls).sort()).toEqual(numbers(20).sort());
    expect(new Set(calls.map(({ context }) => context.queue)).size).toBe(4);
    const { context } = calls.find(({ key }) => key === 'k3')!;
    expect([context.route, context.attempt, context.headers.region, context.payload]).toEqual([
      'step',
      1,
      'north',
      { n: 1 },
    ]);
  });

  it('health shows every partition, and who has it; two share them, and one left alone takes all', async () => {
    const one = await subscriber();
    const all = [0, 1, 2, 3].map((partition) => `${QUEUE}.${partition}`);
    expect(one.application.messaging.health()).toMatchObject({
      status: 'up',
      consumers: [QUEUE, ...all].map((queue) => ({ queue, state: 'consuming', inFlight: 0 })),
    });
    const other = await subscriber();
    await waitFor(() => one.partitions().length === 2 && other.partitions().length === 2, 'two and two', 20_000);
    expect([...one.partitions(), ...other.partitions()].sort()).toEqual(all);
    expect(
      other.application.messaging
        .health()
        .consumers.filter(({ state }) => state === 'standby')
        .map(({ queue }) => queue),
    ).toEqual([...one.partitions()].sort());

    await one.application.close();
    await waitFor(() => other.partitions().length === 4, 'all four', 20_000);
    expect(other.application.messaging.health().status).toBe('up');
    publish('k', '1');
    await waitFor(() => other.calls.length === 1, 'a call');
  });

  it('a paused subscription keeps its partitions and starts no handler, also in those that it gets meanwhile', async () => {
    const one = await subscriber();
    const other = await subscriber();
    await waitFor(() => one.partitions().length === 2 && other.partitions().length === 2, 'two and two', 20_000);
    other.application.messaging.pause('step');
    await one.application.close();
    const paused = (): number =>
      other.application.messaging.health().consumers.filter(({ state }) => state === 'paused').length;
    await waitFor(() => paused() === 4, 'all four paused', 20_000);
    for (let key = 0; key < 8; key++) publish(`k${key}`, '1');
    await waitFor(
      () => other.application.messaging.health().consumers.reduce((sum, { inFlight }) => sum + inFlight, 0) === 8,
      'the messages to wait in the process',
    );
    expect(other.calls).toEqual([]);
    other.application.messaging.resume('step');
    await waitFor(() => other.calls.length === 8, 'the calls');
  });

  it('a failed message is retried in place, its dead letter comes from the subscription’s queue and is redriven by it', async () => {
    let broken = true;
    const { calls, application } = await subscriber(undefined, ({ id }) => {
      if (id === '1' && broken) throw new Error('not yet');
    });
    for (const id of numbers(3)) publish('k', id);
    await waitFor(() => calls.length === 5, 'three calls of the first, then the others');
    expect(ids(calls, 'k')).toEqual(['1', '1', '1', '2', '3']);
    const deadLetters = application.get(DeadLetters);
    await waitFor(async () => (await deadLetters.count()) === 1, 'the dead letter');
    const [letter] = await deadLetters.list();
    expect([letter.id, letter.reason, letter.origin.queue, letter.route]).toEqual([
      '1',
      'attempts-exhausted',
      QUEUE,
      'step',
    ]);
    broken = false;
    expect(await deadLetters.redrive()).toMatchObject({ done: 1, failed: [] });
    await waitFor(() => calls.length === 6, 'the redriven one');
    expect([calls[5].key, calls[5].id, calls[5].context.attempt]).toEqual(['k', '1', 1]);
    expect(calls[5].context.queue).toBe(calls[0].context.queue);
  });

  it('a key that cannot be told makes a dead letter, and holds up nobody', async () => {
    const key = (message: { id: string }): string => {
      if (message.id === '1') throw new UnrecoverableError('no key');
      return 'k';
    };
    const { calls, application } = await subscriber(undefined, undefined, { concurrency: partitioned({ key }) });
    for (const id of numbers(3)) publish('k', id);
    await waitFor(() => calls.length === 2, 'the others');
    await waitFor(async () => (await application.get(DeadLetters).count()) === 1, 'the dead letter');
  });

  it('a partition that is full holds back its keys and changes no order', async () => {
    let pass = (): void => {};
    const gate = new Promise<void>((resolve) => (pass = resolve));
    const { calls, application } = await subscriber(
      { partitions: 2, arguments: { 'x-max-length': 4, 'x-overflow': 'reject-publish' } },
      () => gate,
      { prefetch: 2 },
    );
    const confirmed = await plain.createConfirmChannel();
    const insist = async (id: string): Promise<void> => {
      for (let taken = false; !taken;)
        taken = await new Promise<boolean>((resolve) =>
          confirmed.publish(
            'events',
            'step',
            Buffer.from('{}'),
            { messageId: id, headers: { 'messaging-key': 'k' } },
            (nack) => resolve(nack === null),
          ),
        );
    };
    const publishing = (async () => {
      for (const id of numbers(40)) await insist(id);
    })();
    const base = (): { reason?: string } => application.messaging.health().consumers[0];
    await waitFor(
      () => base().reason?.startsWith('messages cannot be moved'),
      'the distributor to be held back',
      20_000,
    );
    expect(application.messaging.health().status).toBe('degraded');
    pass();
    await publishing;
    await waitFor(() => calls.length >= 40, 'all messages', 20_000);
    expect(ids(calls, 'k')).toEqual(numbers(40));
    await waitFor(() => base().reason === undefined, 'health');
  });

  it('a partition that somebody deletes comes back', async () => {
    const { calls } = await subscriber({ partitions: 2 });
    await channel.deleteQueue(`${QUEUE}.0`);
    await channel.deleteQueue(`${QUEUE}.1`);
    // What gets into a queue while the broker deletes it is lost with it.
    let number = 0;
    const all = (): boolean => {
      number++;
      for (let key = 0; key < 8; key++) publish(`k${key}`, String(number));
      return new Set(calls.map(({ key }) => key)).size === 8;
    };
    await waitFor(all, 'a call per key', 20_000);
  });

  it('another number of partitions is refused, and so it is where queues are only checked', async () => {
    await expect(subscriber({ partitions: 4 }, undefined, { provision: false })).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(/does not exist/),
    });
    const { application } = await subscriber();
    await application.close();
    for (const provision of [true, false])
      for (const partitions of [3, 5])
        await expect(subscriber({ partitions }, undefined, { provision })).rejects.toMatchObject({
          code: 'TOPOLOGY_MISMATCH',
          message: expect.stringMatching(/number of partitions|does not exist/),
        });
    const checked = await subscriber({ partitions: 4 }, undefined, { provision: false });
    publish('k', '1');
    await waitFor(() => checked.calls.length === 1, 'a call');
  });

  it('partitions do not begin beside a process that consumes the whole queue, in order', async () => {
    const whole = await subscriber({ singleActiveConsumer: true });
    await expect(subscriber()).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(
        /«orders:step:queue» has no partitions yet, and a process consumes it as a whole.*Stop all processes that run without/,
      ),
    });
    await expect(channel.checkQueue(QUEUE)).resolves.toMatchObject({ consumerCount: 1 });
    await whole.application.close();
    publish('k', '1');
    const both = await Promise.all([subscriber(), subscriber()]);
    await waitFor(() => both.some(({ calls }) => calls.length === 1), 'what waited', 30_000);
  });

  it('partitions are not left behind by a process that consumes the whole queue, in order', async () => {
    const { application } = await subscriber();
    await application.close();
    for (const native of [{ singleActiveConsumer: true }, { arguments: { 'x-single-active-consumer': true } }])
      for (const provision of [true, false])
        await expect(subscriber(native, undefined, { provision })).rejects.toMatchObject({
          code: 'TOPOLOGY_MISMATCH',
          message: expect.stringMatching(
            /is split into partitions: «orders:step:queue.0» exists.*Give the subscription the «rabbitmq.partitions»/,
          ),
        });
    for (const partition of [0, 1, 2, 3]) await channel.deleteQueue(`${QUEUE}.${partition}`);
    const whole = await subscriber({ singleActiveConsumer: true });
    publish('k', '1');
    await waitFor(() => whole.calls.length === 1, 'a call', 30_000);
  });

  it('with «distribute: false» partitions run empty, and their number can be changed in order', async () => {
    const first = await subscriber({ partitions: 2 }, ({ id }) => (id === '5' ? new Promise(() => {}) : undefined), {
      prefetch: 3,
    });
    for (const id of numbers(20)) publish('k', id);
    await waitFor(() => first.calls.length === 5, 'five calls');
    await waitFor(() => first.application.messaging.health().consumers[0].inFlight === 0, 'all in a partition');
    void first.application.close();
    await waitFor(() => first.application.messaging.health().consumers[1].state === 'stopped', 'the end');

    const draining = await subscriber({ partitions: 2, distribute: false });
    for (const id of numbers(40).slice(20)) publish('k', id);
    await waitFor(() => draining.calls.some(({ id }) => id === '20'), 'the old ones', 30_000);
    expect(ids(draining.calls, 'k')).toEqual(numbers(20).slice(4));
    expect(draining.application.messaging.health().consumers.map(({ queue }) => queue)).toEqual([
      `${QUEUE}.0`,
      `${QUEUE}.1`,
    ]);
    await draining.application.close();
    for (const partition of [0, 1]) await channel.deleteQueue(`${QUEUE}.${partition}`);

    const more = await subscriber({ partitions: 5 });
    await waitFor(() => more.calls.length === 20, 'the new ones');
    expect(ids(more.calls, 'k')).toEqual(numbers(40).slice(20));
  });
});
