import 'reflect-metadata';
import { checkMethod } from '../errors/decorated-method.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkRoute, checkShortText, knownKeys } from '../errors/option-checks.js';
import type { MessageContract } from '../message/message-contract.js';
import type { TransactionInDoubt, TransactionOutcome } from './transaction-in-doubt.js';

const CHECKS = Symbol.for('nestjs-messaging:transaction-checks');

export interface CheckTransactionOptions {
  /** The connection it is published on, where an application has several. Default: the unnamed one. */
  readonly connection?: string;
}

/** What a method was decorated with. */
export interface CheckRequest extends CheckTransactionOptions {
  readonly route: string;
}

/** Decorates methods that take a transaction in doubt with this body. */
export type CheckDecorator<Body> = <
  M extends (transaction: TransactionInDoubt<Body>) => TransactionOutcome | Promise<TransactionOutcome>,
>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

/**
 * This method says what became of a local transaction of `publishInTransaction(route, …)`: `committed`, `rolled-back` or
 * `unknown`, looked up where the transaction wrote. It is asked after a crash, and where the local transaction failed or did
 * not end. A thrown error is `unknown`, which is asked again. One method of one provider for each route.
 * @throws InvalidOptionError, SubscriptionConflictError for a route that cannot be, or what is no method of instances
 */
export function CheckTransaction<Body = never>(
  route: MessageContract<Body> | string,
  options: CheckTransactionOptions = {},
): CheckDecorator<Body> {
  knownKeys('CheckTransaction', options, ['connection']);
  const { connection } = options;
  const request: CheckRequest = {
    route: checkedRoute('route', route),
    ...(connection !== undefined && { connection: checkShortText('connection', connection) }),
  };
  return (target: object, property: string | symbol, descriptor?: PropertyDescriptor) => {
    checkMethod('@CheckTransaction', 'check transactions', target, property, descriptor);
    const own = (Reflect.getOwnMetadata(CHECKS, target, property) ?? []) as readonly CheckRequest[];
    Reflect.defineMetadata(CHECKS, [request, ...own], target, property);
  };
}

/** A route of transactional sends. @throws InvalidOptionError */
export function checkedRoute(option: string, given: MessageContract | string): string {
  const route = checkRoute(option, typeof given === 'object' && given !== null ? given.route : given);
  if (/[*#]/.test(route)) throw new InvalidOptionError(option, route, 'a route without wildcards');
  return route;
}

/** What `@CheckTransaction` said about a method; who overrides one without the decorator leaves that as it is. */
export function checksOf(prototype: object, method: string | symbol): readonly CheckRequest[] {
  return (Reflect.getMetadata(CHECKS, prototype, method) ?? []) as readonly CheckRequest[];
}
