import { invalidResult } from '../errors/result-checks.js';
import type { PublishOptions } from './publish-options.js';
import type { Receipt } from './receipt.js';

/**
 * A publish as its middleware sees it: what the caller passed, before it is checked and serialised. Bytes and headers are
 * copies of the caller's; an object is the caller's own, and is read when the last middleware has called `next`.
 */
export interface PublishRequest {
  /** The route, or the queue's name for `sendToQueue`. */
  readonly route: string;
  /** The queue the message is sent to, for `sendToQueue`. */
  readonly queue?: string;
  readonly body: unknown;
  /** What it was published by, for the serializer. */
  readonly contract?: { readonly route: string };
  readonly options: PublishOptions;
}

export type PublishNext = (request: PublishRequest) => Promise<Receipt>;

/** Wraps every publish; call `next` with the request, or a changed copy of it. First listed is outermost. */
export type PublishMiddleware = (request: PublishRequest, next: PublishNext) => Promise<Receipt>;

/** One function out of middleware around the sending; composed once. */
export function composePublish(middleware: readonly PublishMiddleware[], send: PublishNext): PublishNext {
  const composed = middleware.reduceRight<PublishNext>((next, wrap) => async (request) => wrap(request, next), send);
  return async (request) => checkReceipt(await composed(request));
}

/** Without one nobody knows what became of the message, and nobody would be told. */
function checkReceipt(receipt: Receipt): Receipt {
  if (typeof receipt?.outcome === 'string') return receipt;
  throw invalidResult('«publishMiddleware»', receipt, 'the receipt that next(request) gives, or one like it');
}
