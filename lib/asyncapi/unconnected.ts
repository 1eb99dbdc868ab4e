import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

type RootModule = Parameters<typeof NestFactory.create>[0];

/** An HTTP server that is none: whatever is asked of it, nothing is done. */
const NO_SERVER = new Proxy({}, { get: (_, name) => (name === 'then' ? undefined : () => undefined) });

/**
 * An application whose providers are made and none of whose hooks has run: nothing is connected, declared or consumed, and
 * nothing listens. What a provider does in its constructor or asynchronous factory it does here, too. Nest's log is
 * switched off. Close it when the document is made.
 */
export function unconnectedApplication(module: RootModule): Promise<INestApplicationContext> {
  return NestFactory.create(module, NO_SERVER as never, { logger: false, abortOnError: false });
}
