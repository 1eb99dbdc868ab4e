import {
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExecutionContext,
  HttpException,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, type RmqContext, RpcException } from '@nestjs/microservices';
import { concat, from, map, type Observable, of, throwError } from 'rxjs';
import { Seen } from '../../e2e/support/application.js';

/** What the handlers saw. */
export const seen = new Seen<readonly [what: string, ...more: unknown[]]>();

/** Those that saw `what`. */
export function sawing(what: string): (readonly unknown[])[] {
  return seen.all.filter(([one]) => one === what);
}

export async function untilSeen(what: string, count = 1): Promise<(readonly unknown[])[]> {
  for (let n = 1; sawing(what).length < count; n = seen.all.length + 1) await seen.until(n);
  return sawing(what);
}

@Injectable()
class OnlyKnown implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getData<{ known?: boolean }>().known === true;
  }
}

@Injectable()
class Doubled implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler<number>): Observable<number> {
    return next.handle().pipe(map((value) => value * 2));
  }
}

@Catch(RangeError)
class RangeFilter {
  catch({ message }: RangeError): Observable<never> {
    return throwError(() => ({ status: 'range', message }));
  }
}

@Controller()
export class Shop {
  /** The sum of numbers, by a pattern that is an object. */
  @MessagePattern({ service: 'math', cmd: 'sum' })
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((total, one) => total + one, 0);
  }

  @MessagePattern('math.stream')
  stream(@Payload() numbers: number[]): Observable<number> {
    return from(numbers);
  }

  @MessagePattern('math.broken-stream')
  brokenStream(): Observable<number> {
    return concat(
      of(1),
      throwError(() => new RpcException('No more')),
    );
  }

  @MessagePattern('math.none')
  none(): void {}

  @MessagePattern('math.slow')
  async slow(@Payload() { ms }: { ms: number }): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return 'late';
  }

  @MessagePattern('math.double')
  @UseInterceptors(Doubled)
  double(@Payload('value', ParseIntPipe) value: number): number {
    return value;
  }

  @MessagePattern('math.guarded')
  @UseGuards(OnlyKnown)
  guarded(): string {
    return 'welcome';
  }

  @MessagePattern('math.filtered')
  @UseFilters(RangeFilter)
  filtered(@Payload() text: string): never {
    throw new RangeError(text);
  }

  @MessagePattern('math.fails')
  fails(@Payload() how: 'text' | 'object' | 'error' | 'http'): never {
    if (how === 'text') throw new RpcException('There is none');
    if (how === 'object') throw new RpcException({ code: 'OUT_OF_STOCK', next: 'June' });
    if (how === 'http') throw new HttpException('secret', 418);
    throw new Error('secret');
  }

  @EventPattern<string>('order.created')
  onCreated(@Payload() order: unknown, @Ctx() context: RmqContext): void {
    seen.add(['order.created', order, context]);
  }

  /** A second handler of the same event. */
  @EventPattern<string>('order.created')
  onCreatedToo(@Payload() order: unknown): void {
    seen.add(['order.created too', order]);
  }

  @EventPattern<string>('stock.*.changed')
  onStock(@Payload() change: unknown, @Ctx() context: RmqContext): void {
    seen.add(['stock', change, context.getPattern()]);
  }

  @EventPattern<string>('audit.#')
  onAudit(@Payload() what: unknown, @Ctx() context: RmqContext): Observable<unknown> {
    return of(what).pipe(map(() => seen.add(['audit', what, context.getPattern()])));
  }

  @EventPattern<string>('order.broken')
  onBroken(@Payload() { name }: { name: string }): never {
    seen.add(['order.broken', name]);
    throw new TypeError(`broken ${name}`);
  }

  @EventPattern<string>('order.settled')
  onSettled(@Payload() how: string, @Ctx() context: RmqContext): void {
    const channel = context.getChannelRef() as Record<string, (...args: unknown[]) => void>;
    const message = context.getMessage();
    seen.add(['order.settled', how]);
    if (how === 'ack, then throw') {
      channel.ack(message);
      throw new Error('after the ack');
    }
    if (how === 'dead-letter') channel.nack(message, false, false);
    if (how === 'requeue') channel.nack(message);
    if (how === 'reject') channel.reject(message, false);
    if (how === 'all') channel.ack(message, true);
    if (how === 'publish') channel.publish('exchange', 'route', Buffer.from(''));
    if (how === 'late') setImmediate(() => channel.ack(message));
  }
}
