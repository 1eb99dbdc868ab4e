import { Test } from '@nestjs/testing';
import type { DynamicModule, INestApplicationContext, Type } from '@nestjs/common';
import { memory, Messaging, MessagingModule, type MessagingModuleOptions } from 'nestjs-messaging';
import { Outbox, OutboxModule, type OutboxOptions } from 'nestjs-messaging/outbox';

export interface OutboxApplication {
  readonly app: INestApplicationContext;
  readonly messaging: Messaging;
  readonly outbox: Outbox;
  /** Bodies that were handled, by route. */
  readonly received: Map<string, unknown[]>;
}

const open: INestApplicationContext[] = [];

export async function closeApplications(): Promise<void> {
  await Promise.all(open.splice(0).map((app) => app.close()));
}

/** An application with an outbox. It subscribes to `#`, unless `routes` says otherwise. */
export async function startApplication(
  options: OutboxOptions,
  { routes = ['#'], ...messagingOptions }: MessagingModuleOptions & { readonly routes?: readonly string[] } = {},
  imports: (DynamicModule | Type)[] = [],
): Promise<OutboxApplication> {
  const module = await Test.createTestingModule({
    imports: [
      MessagingModule.forRoot({ service: 'shop', transport: memory(), ...messagingOptions }),
      OutboxModule.forRoot(options),
      ...imports,
    ],
  })
    .setLogger(false as never)
    .compile();
  const app = await module.init();
  open.push(app);
  const messaging = app.get(Messaging);
  const received = new Map<string, unknown[]>();
  for (const route of routes)
    await messaging.subscribe({ route, name: `watch-${routes.indexOf(route)}`, dlq: false }, (payload, context) => {
      received.set(context.route, [...(received.get(context.route) ?? []), payload]);
    });
  return { app, messaging, outbox: app.get(Outbox), received };
}
