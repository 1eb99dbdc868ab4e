import { EventEmitter, once } from 'node:events';
import type { ModuleMetadata, Type } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import {
  GolevelupCompatModule,
  type GolevelupCompatOptions,
  type MessageHandlerOptions,
  RabbitSubscribe,
  type RabbitMQConfig,
  RabbitRPC,
} from 'nestjs-messaging/compat/golevelup';
import { type Application, boot } from '../../e2e/support/application.js';

export interface Call {
  readonly payload: any;
  readonly message: any;
  readonly headers: any;
}

/** A provider with one handler, and what it was called with. */
export class Handled {
  readonly calls: Call[] = [];
  private readonly came = new EventEmitter();
  readonly provider: Type;

  constructor(
    options: MessageHandlerOptions,
    work: (call: Call, number: number) => unknown = () => undefined,
    decorate: typeof RabbitSubscribe | typeof RabbitRPC = RabbitSubscribe,
  ) {
    const take = (call: Call): unknown => {
      this.calls.push(call);
      this.came.emit('call');
      return work(call, this.calls.length);
    };
    @Injectable()
    class Orders {
      @decorate(options)
      async taken(payload: unknown, message: unknown, headers: unknown): Promise<unknown> {
        return take({ payload, message, headers });
      }
    }
    this.provider = Orders;
  }

  async until(count: number): Promise<readonly Call[]> {
    while (this.calls.length < count) await once(this.came, 'call');
    return this.calls;
  }
}

export function starter(url: () => string) {
  return (
    handlers: readonly (Handled | Type)[],
    config: Partial<RabbitMQConfig> = {},
    options: GolevelupCompatOptions = {},
    more: ModuleMetadata = {},
  ): Promise<Application> =>
    boot({
      ...more,
      imports: [
        ...(more.imports ?? []),
        GolevelupCompatModule.forRoot(
          { uri: url(), exchanges: [{ name: 'shop', type: 'topic' }], ...config },
          { service: 'shop', retry: { attempts: 2, backoff: 10 }, ...options },
        ),
      ],
      providers: [...handlers.map((one) => (one instanceof Handled ? one.provider : one)), ...(more.providers ?? [])],
    });
}
