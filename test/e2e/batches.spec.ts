import { afterEach, expect, test } from '@jest/globals';
import {
  CanActivate,
  ForbiddenException,
  Injectable,
  type NestInterceptor,
  type PipeTransform,
  Scope,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import {
  type BatchContext,
  bounded,
  DeadLetters,
  jsonSerializer,
  memory,
  message,
  MessagingModule,
  type MessagingModuleOptions,
  Outcome,
  Publisher,
  SubscribeBatch,
  type TransportFactory,
  UnrecoverableError,
} from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

interface Reading {
  readonly n: number;
}

interface Entry {
  readonly id: string;
  readonly n: number;
  readonly attempt: number;
  /** How many were in its batch. */
  readonly beside: number;
}

function seenBy(calls: Seen<Entry>, readings: readonly Reading[], { entries, size }: BatchContext): void {
  for (const [at, { n }] of readings.entries())
    calls.add({ id: entries[at].id, n, attempt: entries[at].attempt, beside: size });
}

/** «poison» is a body that it cannot read. */
const serializer: MessagingModuleOptions['serializer'] = {
  ...jsonSerializer,
  deserialize(body, properties) {
    if (body.includes('poison')) throw new Error('it is poison');
    return jsonSerializer.deserialize(body, properties);
  },
};

afterEach(closeApplications);

function application(
  transport: TransportFactory,
  providers: NonNullable<Parameters<typeof boot>[0]['providers']> = [],
  options: MessagingModuleOptions = {},
): Promise<Application> {
  const retry = { attempts: 3, backoff: 30 };
  return boot({
    imports: [MessagingModule.forRoot({ service: 'shop', transport, retry, serializer, ...options })],
    providers,
  });
}

async function publish(app: Application, numbers: readonly number[]): Promise<void> {
  const entries = numbers.map((n) => ({ route: 'reading', body: { n }, id: `r${n}` }));
  for (const { outcome } of await app.get(Publisher).publishMany(entries)) expect(outcome).toBe('confirmed');
}

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describeAllBrokers('Batches', (fresh) => {
  test('a decorated method gets every message once, in batches that are full or old enough', async () => {
    const calls = new Seen<Entry>();
    @Injectable()
    class Readings {
      @SubscribeBatch('reading', { size: 20, maxWait: 100 })
      store(readings: Reading[], context: BatchContext): void {
        seenBy(calls, readings, context);
      }
    }
    const transport = await fresh();
    const app = await application(transport(), [Readings]);
    await publish(app, range(50));
    await calls.until(50);
    expect(calls.all.map(({ id, n }) => [id, n]).sort()).toEqual(
      range(50)
        .map((n) => [`r${n}`, n])
        .sort(),
    );
    expect(calls.all.every(({ attempt, beside }) => attempt === 1 && beside <= 20)).toBe(true);
    // The last ones were too few, and came all the same.
    expect(calls.all.some(({ beside }) => beside < 20)).toBe(true);
    await waitFor(() => app.messaging.health().consumers[0].inFlight === 0, 'the acks');
  });

  test('what fails of a batch is retried alone, and the rest is not handled again', async () => {
    const calls = new Seen<Entry>();
    const app = await application((await fresh())());
    await app.messaging.subscribeBatch<Reading>({ route: 'reading', size: 10, maxWait: 200 }, (readings, context) => {
      seenBy(calls, readings, context);
      return readings.map(({ n }, at) => {
        if (n === 3) return context.entries[at].attempt === 1 ? new Error('not yet') : Outcome.ack;
        if (n === 5) return new UnrecoverableError('never');
        if (n === 7 && context.entries[at].attempt === 1) return undefined;
        return Outcome.ack;
      });
    });
    await publish(app, range(10));
    await calls.until(12);
    expect(
      calls.all
        .filter(({ attempt }) => attempt > 1)
        .map(({ n, attempt, beside }) => [n, attempt, beside])
        .sort(),
    ).toEqual([
      [3, 2, 1],
      [7, 2, 1],
    ]);
    const deadLetters = app.get(DeadLetters);
    await waitFor(async () => (await deadLetters.count()) === 1, 'the dead letter');
    expect(await deadLetters.show('r5')).toMatchObject({ reason: 'unrecoverable', attempts: 1 });
    await waitFor(() => app.messaging.health().consumers[0].inFlight === 0, 'the acks');
    expect(calls.all).toHaveLength(12);
  });

  test('one message that makes the handler throw takes no other to the dead letters', async () => {
    const calls = new Seen<Entry>();
    const done = new Set<number>();
    const app = await application((await fresh())());
    await app.messaging.subscribeBatch<Reading>({ route: 'reading', size: 5, maxWait: 200 }, (readings, context) => {
      seenBy(calls, readings, context);
      if (readings.some(({ n }) => n === 2)) throw new Error('I cannot handle a 2');
      for (const { n } of readings) done.add(n);
    });
    await publish(app, range(5));
    const deadLetters = app.get(DeadLetters);
    await waitFor(async () => (await deadLetters.count()) === 1, 'the dead letter', 20_000);
    await waitFor(() => done.size === 4, 'the others');
    expect(await deadLetters.show('r2')).toMatchObject({ reason: 'attempts-exhausted', attempts: 3 });
    expect(calls.all.filter(({ attempt }) => attempt > 1).every(({ beside }) => beside === 1)).toBe(true);
    expect(calls.all.filter(({ n }) => n === 2).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  });

  test('what cannot be read, does not fit its schema or was handled before does not hold up its batch', async () => {
    const calls = new Seen<Entry>();
    const contract = message<Reading, Reading>('reading', {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          (value as Reading).n >= 0
            ? { value: value as Reading }
            : { issues: [{ message: 'is negative', path: ['n'] }] },
      },
    });
    const app = await application((await fresh())());
    await app.messaging.subscribeBatch(
      { route: contract, size: 4, maxWait: 60_000, idempotent: true, prefetch: 8 },
      (readings, context) => seenBy(calls, readings, context),
    );
    const publisher = app.get(Publisher);
    for (const [id, body] of [
      ['a', { n: 1 }],
      ['poison', 'poison'],
      ['b', { n: 2 }],
      ['negative', { n: -1 }],
      ['c', { n: 3 }],
      ['d', { n: 4 }],
    ] as const)
      await publisher.publish('reading', body, { id });
    // Nobody waited a minute: they were four.
    await calls.until(4);
    expect(calls.all.map(({ id, beside }) => [id, beside])).toEqual([
      ['a', 4],
      ['b', 4],
      ['c', 4],
      ['d', 4],
    ]);
    await waitFor(() => app.messaging.health().consumers[0].inFlight === 0, 'the acks');
    await publisher.sendToQueue('shop:reading:queue', { n: 1 }, { id: 'a' });
    const counts = (): { duplicates: number } | undefined => app.messaging.health().consumers[0].idempotency;
    await waitFor(() => counts()?.duplicates === 1, 'the duplicate');
    const deadLetters = app.get(DeadLetters);
    await waitFor(async () => (await deadLetters.count()) === 2, 'the dead letters');
    expect((await deadLetters.show('poison'))?.reason).toBe('undecodable');
    expect(await deadLetters.show('negative')).toMatchObject({
      reason: 'invalid',
      error: { message: expect.stringContaining('n: is negative') },
    });
    expect(calls.all).toHaveLength(4);
  });

  test('a batch that is not full goes back at shutdown with no attempt spent, and one that runs is finished', async () => {
    const transport = await fresh();
    const first = new Seen<Entry>();
    let end!: () => void;
    const running = new Promise<void>((resolve) => (end = resolve));
    const one = await application(transport());
    await one.messaging.subscribeBatch<Reading>(
      { route: 'reading', size: 3, maxWait: 60_000, concurrency: bounded(1) },
      async (readings, context) => {
        seenBy(first, readings, context);
        await running;
      },
    );
    await publish(one, range(5));
    await first.until(3);
    await waitFor(() => one.messaging.health().consumers[0].inFlight === 5, 'an open batch');
    const closing = one.close();
    end();
    await closing;
    const second = new Seen<Entry>();
    const two = await application(transport());
    await two.messaging.subscribeBatch<Reading>({ route: 'reading', size: 10, maxWait: 50 }, (readings, context) =>
      seenBy(second, readings, context),
    );
    await second.until(2);
    const handled = [...first.all, ...second.all];
    expect(handled.map(({ n }) => n).sort()).toEqual(range(5));
    expect(handled.every(({ attempt }) => attempt === 1)).toBe(true);
  });
});

test('guards, pipes and interceptors run once per batch, in its execution context; request-scoped providers, too', async () => {
  const trace: unknown[] = [];
  const calls = new Seen<number[]>();
  @Injectable()
  class Guard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const [readings, batch] = context.getArgs<[Reading[], BatchContext]>();
      trace.push(['guard', context.getType(), readings.length, batch.size]);
      return true;
    }
  }
  class Doubling implements PipeTransform<Reading[], Reading[]> {
    transform(readings: Reading[]): Reading[] {
      trace.push(['pipe', readings.length]);
      return readings.map(({ n }) => ({ n: n * 2 }));
    }
  }
  class Interceptor implements NestInterceptor {
    intercept(_: ExecutionContext, next: CallHandler) {
      trace.push(['interceptor']);
      return next.handle();
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class Readings {
    @SubscribeBatch({ route: 'reading', size: 2, maxWait: 60_000 })
    @UseGuards(Guard)
    @UsePipes(Doubling)
    @UseInterceptors(Interceptor)
    store(readings: Reading[]): void {
      calls.add(readings.map(({ n }) => n));
    }
  }
  const app = await application(memory(), [Readings]);
  await publish(app, [1, 2]);
  await calls.until(1);
  expect(calls.all.map((numbers) => [...numbers].sort())).toEqual([[2, 4]]);
  expect(trace).toEqual([['guard', 'messaging', 2, 2], ['interceptor'], ['pipe', 2]]);
});

test('a guard that refuses refuses the batch: all of it goes to the dead letters', async () => {
  class Refusing implements CanActivate {
    canActivate(): boolean {
      throw new ForbiddenException('not you');
    }
  }
  @Injectable()
  class Readings {
    @SubscribeBatch('reading', { size: 2, maxWait: 60_000 })
    @UseGuards(Refusing)
    store(): void {
      throw new Error('it was called');
    }
  }
  const app = await application(memory(), [Readings]);
  await publish(app, [1, 2]);
  const deadLetters = app.get(DeadLetters);
  await waitFor(async () => (await deadLetters.count()) === 2, 'the dead letters');
  for (const { reason, error } of await deadLetters.list()) {
    expect(reason).toBe('unrecoverable');
    expect(error.message).toBe('not you');
  }
});

test('a batch and a single handler on one queue are refused at boot, with what to do', async () => {
  @Injectable()
  class Both {
    @SubscribeBatch('reading', { size: 2 })
    many(): void {}

    @SubscribeBatch('reading', { size: 2 })
    again(): void {}
  }
  await expect(boot({ imports: [MessagingModule.forRoot({})], providers: [Both] })).rejects.toMatchObject({
    code: 'SUBSCRIPTION_CONFLICT',
    message: expect.stringContaining('Give one a «name»'),
  });
});

test('a size that is none is refused where it is written', () => {
  expect(() => SubscribeBatch('reading', {} as never)).toThrow(/«size»/);
  expect(() => SubscribeBatch({ route: 'reading', size: 0 })).toThrow(/«size»/);
  expect(() => SubscribeBatch(['a', 'b'], { size: 2 })).toThrow(/needs a «name»/);
});
