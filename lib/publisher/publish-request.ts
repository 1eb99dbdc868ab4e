import type { Headers } from '../message/headers.js';
import { isolateHeaders } from '../message/isolate.js';
import type { MessageContract } from '../message/message-contract.js';
import type { PublishRequest } from './publish-middleware.js';
import type { PublishOptions, RouteLike } from './publish-options.js';

export type Contract = NonNullable<PublishRequest['contract']>;

/** Bytes and headers as they are now. An object is read when the last middleware has called `next`. */
export function requestOf(
  name: string,
  route: RouteLike | undefined,
  body: unknown,
  options: PublishOptions,
): PublishRequest {
  const headers: unknown = options?.headers;
  const contract = typeof route === 'object' ? route : undefined;
  const own =
    typeof headers === 'object' && headers !== null && !Array.isArray(headers)
      ? { ...options, headers: isolateHeaders(headers as Headers) }
      : options;
  return {
    route: name,
    body: body instanceof Uint8Array ? Buffer.from(body) : body,
    options: contract ? writtenBy(contract, own) : own,
    ...(contract && { contract }),
  };
}

/** The serializer of a contract is an option of its publishes, so that middleware which names them anew keeps it. */
export function writtenBy(contract: Contract, options: PublishOptions): PublishOptions {
  const { serializer } = contract as Pick<MessageContract, 'serializer'>;
  return serializer === undefined || options?.serializer !== undefined ? options : { ...options, serializer };
}
