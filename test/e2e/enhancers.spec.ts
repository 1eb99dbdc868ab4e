import { afterEach, expect, test } from '@jest/globals';
import {
  ArgumentMetadata,
  BadRequestException,
  CanActivate,
  Catch,
  ExceptionFilter,
  ExecutionContext,
  ForbiddenException,
  Inject,
  Injectable,
  NestInterceptor,
  CallHandler,
  PipeTransform,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, REQUEST } from '@nestjs/core';
import {
  MESSAGING_CONTEXT,
  MessageContext,
  MessagingModule,
  type MessagingModuleOptions,
  Outcome,
  Publisher,
  Subscribe,
  fixed,
} from 'nestjs-messaging';
import { defer, EMPTY, map, type Observable, tap, throwError } from 'rxjs';
import { boot, closeApplications, event, Seen } from './support/application.js';

afterEach(closeApplications);

class Order {
  constructor(readonly id: number) {}
}

@Injectable()
class OnlyOdd implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const [order, message] = context.getArgs<[{ id: number }, MessageContext]>();
    return context.getType<string>() === MESSAGING_CONTEXT && message instanceof MessageContext && order.id % 2 === 1;
  }
}

@Injectable()
class ToOrder implements PipeTransform {
  transform(value: { id: number }, { metatype, type }: ArgumentMetadata): Order {
    if (metatype !== Order || type !== 'body') throw new TypeError(`called with ${String(metatype?.name)} ${type}`);
    if (typeof value.id !== 'number') throw new BadRequestException('id is not a number');
    return new Order(value.id);
  }
}

const options: MessagingModuleOptions = { retry: { attempts: 3, backoff: fixed(0) } };

async function start(
  handler: new (...args: never[]) => unknown,
  more: object[] = [],
  extra: MessagingModuleOptions = {},
) {
  const application = await boot({
    imports: [MessagingModule.forRoot({ ...options, ...extra })],
    providers: [handler as never, ...(more as never[])],
  });
  return { ...application, publisher: application.get(Publisher) };
}

test('guards, pipes and interceptors run around a handler in an execution context of its own type', async () => {
  const seen = new Seen<unknown>();
  @Injectable()
  class Doubling implements NestInterceptor {
    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      seen.add(`before ${context.getClass().name}.${context.getHandler().name}`);
      return next.handle().pipe(tap(() => seen.add('after')));
    }
  }
  @Injectable()
  class Handler {
    @UseGuards(OnlyOdd)
    @UseInterceptors(Doubling)
    @UsePipes(ToOrder)
    @Subscribe('order.created')
    handle(order: Order, context: MessageContext): void {
      seen.add([order instanceof Order, order.id, context.attempt]);
    }
  }
  const { publisher } = await start(Handler);
  await publisher.publish('order.created', { id: 1 });
  expect(await seen.until(3)).toEqual(['before Handler.handle', [true, 1, 1], 'after']);
});

test.each([
  ['a guard that says no', { id: 2 }, 'Forbidden resource'],
  ['a pipe that refuses', { id: 'x' }, 'id is not a number'],
])('%s sends the message to its dead letters at once', async (_, body, message) => {
  const calls = new Seen<unknown>();
  @Injectable()
  class Handler {
    @UseGuards({ canActivate: (context: ExecutionContext) => context.getArgByIndex<{ id: unknown }>(0).id !== 2 })
    @UsePipes(ToOrder)
    @Subscribe('order.created')
    handle(order: Order): void {
      calls.add(order);
    }
  }
  const { publisher, messaging } = await start(Handler);
  const dead = event(messaging, 'dead-lettered');
  await publisher.publish('order.created', body);
  expect(await dead).toMatchObject({ attempt: 1, reason: 'unrecoverable', error: { code: 'REFUSED', message } });
  expect(calls.all).toEqual([]);
});

test('a guard that fails for another reason is retried', async () => {
  let calls = 0;
  const seen = new Seen<number>();
  @Injectable()
  class Handler {
    @UseGuards({
      canActivate: () => {
        if (++calls < 3) throw new Error('the database is away');
        return true;
      },
    })
    @Subscribe('order.created')
    handle(_: unknown, { attempt }: MessageContext): void {
      seen.add(attempt);
    }
  }
  const { publisher } = await start(Handler);
  await publisher.publish('order.created', {});
  expect(await seen.until(1)).toEqual([3]);
});

test('a handler that throws a 403 of its own is retried: only guards and pipes refuse', async () => {
  const attempts = new Seen<number>();
  @Injectable()
  class Handler {
    @UseInterceptors({ intercept: (_: ExecutionContext, next: CallHandler) => next.handle() })
    @Subscribe('order.created')
    handle(_: unknown, { attempt }: MessageContext): void {
      attempts.add(attempt);
      throw new ForbiddenException();
    }
  }
  const { publisher, messaging } = await start(Handler);
  const dead = event(messaging, 'dead-lettered');
  await publisher.publish('order.created', {});
  expect(await dead).toMatchObject({ attempt: 3, reason: 'attempts-exhausted' });
  expect(attempts.all).toEqual([1, 2, 3]);
});

test('an exception filter that returns nothing does not ack: the error goes to retry and dead letter', async () => {
  const caught = new Seen<string>();
  @Catch()
  class Silent implements ExceptionFilter {
    async catch(error: Error): Promise<void> {
      caught.add(error.message);
    }
  }
  @Injectable()
  class Handler {
    @UseFilters(Silent)
    @Subscribe('order.created')
    handle(_: unknown, { attempt }: MessageContext): void {
      throw new Error(`call ${attempt}`);
    }
  }
  const { publisher, messaging } = await start(Handler);
  const dead = event(messaging, 'dead-lettered');
  await publisher.publish('order.created', {});
  expect(await dead).toMatchObject({ attempt: 3, error: { message: 'call 3' } });
  expect(caught.all).toEqual(['call 1', 'call 2', 'call 3']);
});

test('an exception filter decides by returning an Outcome, or by throwing another error', async () => {
  @Catch()
  class Deciding implements ExceptionFilter {
    catch(error: Error): Outcome {
      if (error.message === 'fine') return Outcome.ack;
      throw new Error(`mapped ${error.message}`);
    }
  }
  @Injectable()
  class Handler {
    @UseFilters(Deciding)
    @Subscribe('order.created', { retry: false })
    handle(text: string): void {
      throw new Error(text);
    }
  }
  const { publisher, messaging } = await start(Handler);
  const settled = event(messaging, 'settled');
  await publisher.publish('order.created', 'fine');
  expect(await settled).toMatchObject({ outcome: 'ack' });
  const dead = event(messaging, 'dead-lettered');
  await publisher.publish('order.created', 'bad');
  expect(await dead).toMatchObject({ error: { message: 'mapped bad' } });
});

test('application-global enhancers stay out, unless asked for', async () => {
  const seen = new Seen<string>();
  const more = [
    {
      provide: APP_GUARD,
      useValue: { canActivate: (context: ExecutionContext) => (seen.add(`guard ${context.getType<string>()}`), true) },
    },
    {
      provide: APP_INTERCEPTOR,
      useValue: {
        intercept: (_: ExecutionContext, next: CallHandler) =>
          next.handle().pipe(map((value: unknown) => (seen.add('interceptor'), value))),
      },
    },
  ];
  @Injectable()
  class Handler {
    @UseGuards({ canActivate: () => true })
    @Subscribe('order.created')
    handle(): void {
      seen.add('handler');
    }
  }
  const without = await start(Handler, more);
  const settled = event(without.messaging, 'settled');
  await without.publisher.publish('order.created', {});
  await settled;
  expect(seen.all.splice(0)).toEqual(['handler']);
  const asked = await start(Handler, more, { globalEnhancers: true });
  await asked.publisher.publish('order.created', {});
  expect(await seen.until(3)).toEqual(['guard messaging', 'handler', 'interceptor']);
});

test('a request-scoped handler is made anew for every message, with the message context as its request', async () => {
  const seen = new Seen<{ self: unknown; id: string; same: boolean }>();
  @Injectable({ scope: Scope.REQUEST })
  class PerMessage {
    constructor(@Inject(REQUEST) readonly context: MessageContext) {}
  }
  @Injectable({ scope: Scope.REQUEST })
  class Handler {
    constructor(readonly dependency: PerMessage) {}

    @Subscribe('order.created')
    handle(_: unknown, context: MessageContext): void {
      seen.add({ self: this, id: context.id, same: this.dependency.context === context });
    }
  }
  const { publisher } = await start(Handler, [PerMessage]);
  await publisher.publish('order.created', {}, { id: 'a' });
  await publisher.publish('order.created', {}, { id: 'b' });
  const [first, second] = await seen.until(2);
  expect([first.id, second.id, first.same, second.same]).toEqual(['a', 'b', true, true]);
  expect(first.self).not.toBe(second.self);
});

test('middleware wraps handlers, module before subscription, first listed outermost', async () => {
  const seen = new Seen<string>();
  const named = (name: string) => async (context: MessageContext, next: () => Promise<unknown>) => {
    seen.add(`${name} ${JSON.stringify(context.payload)}`);
    const result = await next();
    seen.add(`${name} done`);
    return result;
  };
  @Injectable()
  class Handler {
    @Subscribe('order.created', { middleware: [named('c'), named('d')] })
    handle(): void {
      seen.add('handler');
    }
  }
  const { publisher } = await start(Handler, [], { middleware: [named('a'), named('b')] });
  await publisher.publish('order.created', 1);
  expect(await seen.until(9)).toEqual(['a 1', 'b 1', 'c 1', 'd 1', 'handler', 'd done', 'c done', 'b done', 'a done']);
});

test('a handler that returns an Observable is done when that completes, and failed when it errors', async () => {
  const seen = new Seen<string>();
  @Injectable()
  class Handler {
    @Subscribe('order.created')
    plain(): Observable<unknown> {
      return defer(() => {
        seen.add('plain ran');
        return EMPTY;
      });
    }

    @UseInterceptors({ intercept: (_: ExecutionContext, next: CallHandler) => next.handle() })
    @Subscribe('order.paid', { retry: false })
    failing(): Observable<unknown> {
      return throwError(() => new Error('late'));
    }
  }
  const { publisher, messaging } = await start(Handler);
  const acked = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
  await publisher.publish('order.created', {});
  await acked;
  expect(seen.all).toEqual(['plain ran']);
  const dead = event(messaging, 'dead-lettered');
  await publisher.publish('order.paid', {});
  expect(await dead).toMatchObject({ error: { message: 'late' } });
});

test.each([Scope.DEFAULT, Scope.REQUEST])(
  'an async handler (scope %p) that gives an Observable, as HttpService does, is done when that completes',
  async (scope) => {
    const seen = new Seen<string>();
    const failing = { retry: false, name: 'failing' } as const;
    @Injectable({ scope })
    class Handler {
      @Subscribe('order.created')
      async plain(): Promise<Observable<unknown>> {
        return defer(async () => seen.add('plain ran'));
      }

      @UseInterceptors({ intercept: (_: ExecutionContext, next: CallHandler) => next.handle() })
      @Subscribe('order.sent')
      async intercepted(): Promise<Observable<unknown>> {
        return defer(async () => seen.add('intercepted ran'));
      }

      @Subscribe('order.paid', failing)
      async failing(): Promise<Observable<unknown>> {
        return throwError(() => new Error('late'));
      }
    }
    const { publisher, messaging } = await start(Handler);
    for (const [route, line] of [
      ['order.created', 'plain ran'],
      ['order.sent', 'intercepted ran'],
    ]) {
      const acked = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
      await publisher.publish(route, {});
      await acked;
      expect(seen.all.at(-1)).toBe(line);
    }
    const dead = event(messaging, 'dead-lettered');
    await publisher.publish('order.paid', {});
    expect(await dead).toMatchObject({ error: { message: 'late' } });
  },
);

test('class-level enhancers apply to providers made by a factory too', async () => {
  const calls = new Seen<string>();
  @UseGuards({ canActivate: () => (calls.add('guard'), true) })
  class Handler {
    @Subscribe('order.created')
    handle(): void {
      calls.add('handler');
    }
  }
  const { publisher } = await start(class {}, [{ provide: 'made', useFactory: () => new Handler() }]);
  await publisher.publish('order.created', {});
  expect(await calls.until(2)).toEqual(['guard', 'handler']);
});

test('a guard that Nest would leave out in silence fails the boot', async () => {
  @UseGuards(OnlyOdd)
  class Handler {
    @Subscribe('order.created')
    handle(): void {}
  }
  await expect(start(class {}, [{ provide: 'made', useFactory: () => new Handler() }])).rejects.toThrow(
    /Handler\.handle: Nest does not make «OnlyOdd».*Provide Handler by its class/,
  );
});

test('a transient handler is constructed, anew for every message', async () => {
  const seen = new Seen<unknown>();
  @Injectable({ scope: Scope.TRANSIENT })
  class Handler {
    readonly made = true;

    @Subscribe('order.created')
    handle(): void {
      seen.add(this.made && this);
    }
  }
  const { publisher } = await start(Handler);
  await publisher.publish('order.created', {});
  await publisher.publish('order.created', {});
  const [first, second] = await seen.until(2);
  expect(first).toBeInstanceOf(Handler);
  expect(second).not.toBe(first);
});
