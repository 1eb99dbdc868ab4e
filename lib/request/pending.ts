import type { AsyncLocalStorage } from 'node:async_hooks';
import type { WireMessage } from '../message/message.js';
import type { RequestTrace } from '../pipeline/telemetry.js';
import type { PublishOptions, RouteLike } from '../publisher/publish-options.js';
import type { RequestOptions } from './request-options.js';

/** A request that may get several replies, and where it goes. @internal */
export interface Conversation {
  readonly id: string;
  /** The queue that it is sent to by name; undefined: it goes by its route. */
  readonly queue?: string;
  /** What else it is published with. */
  readonly publish?: PublishOptions;
  /** The `timeout` is that of all replies, told to who answers, and its end is none by an error. Default: it begins anew with each. */
  readonly gathers?: true;
  /** Takes the replies as they come, until `end` was called. Must not throw. */
  readonly take: (reply: WireMessage, end: () => void) => void;
}

/** A request that waits for its reply. @internal */
export interface Pending {
  readonly id: string;
  readonly route: RouteLike;
  readonly body: unknown;
  readonly options: RequestOptions;
  readonly timeoutMs: number;
  at: number;
  readonly trace: RequestTrace | undefined;
  readonly aborted: (() => void) | undefined;
  /** What it is sent within where it waits: the async context of whoever asked. */
  within?: ReturnType<typeof AsyncLocalStorage.snapshot>;
  readonly conversation: Conversation | undefined;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export function succeed({ resolve, trace }: Pending, answer: unknown): void {
  trace?.ended(undefined);
  resolve(answer);
}

export function reject({ reject: told, trace }: Pending, error: unknown): void {
  trace?.ended(error);
  told(error);
}
