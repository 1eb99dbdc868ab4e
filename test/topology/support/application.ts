import { type INestApplicationContext, Injectable, Module, type Type } from '@nestjs/common';
import { MessagingModule, Subscribe, type SubscribeRequest, type TransportFactory } from 'nestjs-messaging';
import { unconnectedApplication } from 'nestjs-messaging/topology';

/** The root module of an application with these subscriptions. */
export function moduleWith(transport: TransportFactory, requests: readonly SubscribeRequest[]): Type {
  @Injectable()
  class Handlers {
    handle(): void {}
  }
  const handle = Object.getOwnPropertyDescriptor(Handlers.prototype, 'handle')!;
  for (const request of [...requests].reverse()) {
    const decorate = Subscribe(request);
    decorate(Handlers.prototype, 'handle', handle);
  }
  @Module({ imports: [MessagingModule.forRoot({ service: 'shop', transport })], providers: [Handlers] })
  class AppModule {}
  return AppModule;
}

/** Unconnected, for one plan. */
export async function withApp<T>(
  transport: TransportFactory,
  requests: readonly SubscribeRequest[],
  work: (app: INestApplicationContext) => Promise<T>,
): Promise<T> {
  const app = await unconnectedApplication(moduleWith(transport, requests));
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}
