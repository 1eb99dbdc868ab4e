import { InvalidOptionError } from '../../errors/configuration-errors.js';
import {
  type Contracted,
  contractOf,
  isRoute,
  type Route,
  type RouteOf,
  type SubscribeRequest,
  type SubscriptionOptions,
} from './subscription-options.js';

/** The options of `messaging.receive`: those of a subscription, without the ones that only handlers need. */
export interface ReceiveOptions extends Omit<
  SubscriptionOptions,
  'concurrency' | 'handles' | 'routeBy' | 'connection' | 'answers'
> {
  /** Ends the loop when it is aborted, as leaving it does. */
  readonly signal?: AbortSignal;
}

/** What `messaging.receive` takes instead of a route. */
export interface ReceiveRequest extends ReceiveOptions {
  /** A route or pattern, or several of them (with a `name`). */
  readonly route: Route | readonly Route[];
}

/**
 * What `messaging.receive` takes as an object: these options, whose `route` may be a contract, or a contract. It is one
 * type, because a compiler that has to choose between several says what is wrong with each of them.
 */
export interface ReceiveRequestOf<Payload> extends ReceiveOptions, Contracted<Payload> {
  readonly route: RouteOf<Payload>;
}

/** Options that mean nothing to a loop, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  concurrency:
    'nothing beside receive(…): the loop decides how many messages it holds, up to the prefetch. Leave it out',
  handles: 'nothing beside receive(…): one loop gets every message of its queue. Give each loop a «name» of its own',
  routeBy: 'nothing beside receive(…): one loop gets every message of its queue. Look at message.route in the loop',
  answers: 'nothing beside receive(…): a loop returns nothing to be answered with. Handle requests with @Respond',
  connection:
    'nothing beside receive(…): it is that of the Messaging it is called on. Inject another: @InjectMessaging(name)',
};

/** The subscription that a loop is, and what ends it. @throws InvalidOptionError */
export function receiveRequest(given: Route | readonly Route[] | ReceiveRequest): {
  readonly request: SubscribeRequest;
  readonly signal: AbortSignal | undefined;
} {
  if (isRoute(given)) return { request: { route: given }, signal: undefined };
  const { signal, ...request } = contractOf(given);
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new InvalidOptionError('signal', signal, 'an AbortSignal');
  return { request, signal };
}

/** What the subscription came to, the module's overrides included. @throws InvalidOptionError */
export function checkReceivable(request: SubscribeRequest): void {
  for (const [option, remedy] of Object.entries(REFUSED)) {
    const value = (request as unknown as Record<string, unknown>)[option];
    if (value !== undefined) throw new InvalidOptionError(option, value, remedy);
  }
}
