import { InvalidOptionError } from '../errors/configuration-errors.js';
import { isShortText } from '../errors/option-checks.js';
import { checkHeaderName } from '../message/header-values.js';
import { HEADER_PREFIX, type HeaderValue, type Headers, requestHeader, stringHeader } from '../message/headers.js';
import { BatchContext } from '../pipeline/batch-context.js';
import type { MessageContext } from '../pipeline/message-context.js';
import { messageInHand } from '../pipeline/message-in-hand.js';
import type { PublishMiddleware, PublishRequest } from './publish-middleware.js';

/** The name in `propagate` that is no header's. */
const CORRELATION_ID = 'correlationId';

/** What a message hands on. */
export interface Propagated {
  readonly correlationId: string | undefined;
  readonly headers: Headers;
}

/** Hands on what messages have in common with those that their handlers publish. */
export class Propagation {
  private readonly withCorrelation: boolean;
  private readonly headers: readonly string[];
  private readonly known = new WeakMap<MessageContext | BatchContext, Propagated>();

  private constructor(names: readonly string[]) {
    this.withCorrelation = names.includes(CORRELATION_ID);
    this.headers = names.filter((name) => name !== CORRELATION_ID);
  }

  /** Undefined: nothing is handed on. @throws InvalidOptionError */
  static of(names: readonly string[]): Propagation | undefined {
    const given: unknown = names;
    if (!Array.isArray(given) || given.some((name) => typeof name !== 'string'))
      throw new InvalidOptionError('propagate', names, `an array of «${CORRELATION_ID}» and names of headers`);
    for (const name of names) {
      checkHeaderName(name, 'propagate');
      if (name.startsWith(HEADER_PREFIX))
        throw new InvalidOptionError(
          'propagate',
          name,
          `names that do not begin with «${HEADER_PREFIX}»: those headers say of one message what is not so of the next`,
        );
    }
    return names.length > 0 ? new Propagation(names) : undefined;
  }

  /** What the message in hand hands on: of a batch, what all its messages have in common. Undefined: there is none. */
  inHand(): Propagated | undefined {
    const context = messageInHand();
    if (!context) return undefined;
    const known = this.known.get(context);
    if (known) return known;
    const [first, ...others] = context instanceof BatchContext ? context.entries : [context];
    const inCommon = <T extends HeaderValue>(read: (message: MessageContext) => T): T | undefined => {
      const value = read(first);
      return others.every((other) => same(read(other), value)) ? value : undefined;
    };
    const headers: Record<string, HeaderValue> = {};
    for (const name of this.headers) {
      const value = inCommon((message) => message.headers[name]);
      if (value !== undefined) headers[name] = value;
    }
    const propagated = { correlationId: this.withCorrelation ? inCommon(correlationOf) : undefined, headers };
    this.known.set(context, propagated);
    return propagated;
  }

  /** Around every publish; what the publish says itself counts. */
  readonly middleware: PublishMiddleware = (request, next) => {
    const inHand = this.inHand();
    return next(inHand ? withDefaults(request, inHand) : request);
  };
}

/** A publish with what it does not say itself; options that are none are left to be refused as ever. */
export function withDefaults(
  request: PublishRequest,
  { headers: given, correlationId: id }: Partial<Propagated>,
): PublishRequest {
  const { options } = request;
  if (!isObject(options) || (options.headers !== undefined && !isObject(options.headers))) return request;
  const { correlationId = id, headers } = options;
  return { ...request, options: { ...options, correlationId, headers: { ...given, ...headers } } };
}

/** A request has one of its own, for its reply. What is longer than ours may be is a foreign one, and not handed on. */
function correlationOf({ headers, correlationId, id }: MessageContext): string | undefined {
  const found = stringHeader(headers, requestHeader.correlation) ?? (correlationId || id);
  return isShortText(found) ? found : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function same(one: HeaderValue, other: HeaderValue): boolean {
  return Object.is(one, other) || (isObject(one) && JSON.stringify(one) === JSON.stringify(other));
}
