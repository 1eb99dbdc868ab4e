import { AsyncLocalStorage } from 'node:async_hooks';
import type { BatchContext } from './batch-context.js';
import type { MessageContext } from './message-context.js';
import type { Middleware } from './middleware.js';

const storage = new AsyncLocalStorage<MessageContext | BatchContext>();

/** What the handler was called with that this code belongs to, on a connection with `propagate`; undefined outside of one. */
export function messageInHand(): MessageContext | BatchContext | undefined {
  return storage.getStore();
}

/** Keeps the message in hand for whatever its handler calls. */
export const keepingMessageInHand: Middleware = Object.assign(keeping, { batch: keeping });

function keeping(context: MessageContext | BatchContext, next: () => Promise<unknown>): Promise<unknown> {
  return storage.run(context, next);
}
